"""`dolmen store repair`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo repair --from=../mirror
        dolmen store --repo=repo repair --from=https://host/repo/ --dry-run
        dolmen repair                                  (the store's own repository, and all else)
    """
)
@click.option(
    "--from",
    "sources",
    metavar="PATH|URL",
    multiple=True,
    required=True,
    help="Another repository that may have the objects.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what could be mended; change nothing.")
def command(sources: tuple[str, ...], dry_run: bool) -> None:
    """Replace damaged and missing objects by those of other repositories, byte for byte.

    Only what hashes to its name is taken; what nobody has stays as it is, and is named. May be
    interrupted and typed again.
    """
    from dolmen.store.history.restoring import restore
    from dolmen.support.errors import StoreError

    current = session()
    done = restore(storing.opened(), sources, dry_run=dry_run, emit=current.emit)
    for name in done.mended:
        current.say(f"{'would mend' if dry_run else 'mended'} {name}")
    if done.left:
        raise StoreError(
            f"{len(done.left)} objects cannot be mended from there",
            reason="store-damaged",
            details=done.left[:20],
            hint="dolmen store repair --from=OTHER",
        )
    current.answer(done)
    if not done.mended:
        current.say("Nothing to mend")
