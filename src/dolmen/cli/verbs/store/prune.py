"""`dolmen store prune`."""

from __future__ import annotations

import re

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
@click.option("--keep-younger-than", metavar="TIME", help="Parents from then on stay as well.")
@click.option("--only-branch", "only", metavar="REF", multiple=True, help="Shorten no other.")
@click.option(
    "--retain-branch-depth", "retain", metavar="REF=N", multiple=True, help="A depth of its own."
)
def command(
    refs_only: bool,
    depth: int,
    no_prune: bool,
    delete_commit: str | None,
    keep_younger_than: str | None,
    only: tuple[str, ...],
    retain: tuple[str, ...],
) -> None:
    """Delete the objects that nothing needs. The store's own repository is for `dolmen gc`."""
    from dolmen.store.history import pruning
    from dolmen.support.errors import UsageError

    depths = {}
    for name, number in map(storing.pair, retain):
        if not re.fullmatch(r"-1|\d+", number):
            raise UsageError(f"Invalid depth {number}", hint="--retain-branch-depth=main=3")
        depths[name] = int(number)
    history = storing.opened()
    done = pruning.prune(
        history,
        refs_only=refs_only or depth >= 0 or delete_commit is not None,
        depth=depth,
        dry_run=no_prune,
        delete_commit=delete_commit,
        younger_than=None if keep_younger_than is None else storing.seconds(keep_younger_than),
        only=only,
        retain=depths,
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
