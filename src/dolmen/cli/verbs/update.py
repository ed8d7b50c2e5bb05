"""`dolmen update`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen update                   (everything)
        dolmen update openssl libssl3   (and what these cannot do without)
        dolmen update --dry-run
        dolmen update --offline         (from the indexes that are here)
    """
)
@click.argument("names", metavar="[PACKAGE…]", nargs=-1)
@click.option("--offline", is_flag=True, help="Do not ask the archive for news first.")
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
def command(names: tuple[str, ...], offline: bool, dry_run: bool) -> None:
    """Take the newest versions that dolmen.toml allows, as one new generation.

    With names only these move, and what they cannot do without. Versions that dolmen.toml holds
    (name=version) stay. If anything fails, manifest, lock and generation are as they were.
    """
    from dolmen.cli.outcomes import show
    from dolmen.environment import update

    current = session()
    outcome = update(
        current.environment(),
        names,
        backend=current.backend(),
        command=" ".join(["update", *names]),
        refresh=not offline,
        dry_run=dry_run,
        emit=current.emit,
    )
    current.close()
    show(outcome, current)
