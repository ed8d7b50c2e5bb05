"""`dolmen store prune`."""

from __future__ import annotations

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo prune --refs-only
        dolmen store --repo=repo prune --refs-only --depth=2 --no-prune
    """
)
@click.option("--refs-only", is_flag=True, help="Commits count only if a ref leads to them.")
@click.option("--depth", type=int, default=-1, metavar="N", help="Parents to keep; -1 for all.")
@click.option("--no-prune", is_flag=True, help="Only say what would go.")
@click.option("--delete-commit", metavar="COMMIT", help="This commit first.")
def command(refs_only: bool, depth: int, no_prune: bool, delete_commit: str | None) -> None:
    """Delete the objects that nothing needs. The store's own repository is for `dolmen gc`."""
    from dolmen.store.history import pruning

    history = storing.opened()
    done = pruning.prune(
        history,
        refs_only=refs_only or depth >= 0 or delete_commit is not None,
        depth=depth,
        dry_run=no_prune,
        delete_commit=delete_commit,
    )
    current = session()
    current.answer(done)
    current.say(f"Total objects: {done.total}")
    if not done.pruned:
        current.say("No unreachable objects")
    elif no_prune:
        current.say(f"Would delete: {done.pruned} objects, freeing {text.size(done.freed)}")
    else:
        current.say(f"Deleted {done.pruned} objects, {text.size(done.freed)} freed")
