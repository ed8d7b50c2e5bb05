"""`dolmen remove`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen remove curl
        dolmen remove --dry-run python3 nodejs
    """
)
@click.argument("names", metavar="PACKAGE…", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
def command(names: tuple[str, ...], dry_run: bool) -> None:
    """Take packages out of dolmen.toml, and what only they needed out of the environment."""
    from dolmen.cli.outcomes import show
    from dolmen.environment import remove

    current = session()
    outcome = remove(
        current.environment(),
        names,
        backend=current.backend(),
        command=" ".join(["remove", *names]),
        dry_run=dry_run,
        emit=current.emit,
    )
    current.close()
    show(outcome, current)
