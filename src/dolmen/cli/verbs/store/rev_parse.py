"""`dolmen store rev-parse`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo rev-parse main
        dolmen store rev-parse main~2 9b752
    """
)
@click.option("-S", "--single", is_flag=True, help="The only commit that there is.")
@click.argument("revisions", metavar="COMMIT...", nargs=-1)
def command(revisions: tuple[str, ...], single: bool) -> None:
    """Print the checksum that each name stands for."""
    from dolmen.store.history.revisions import resolve, sole_commit
    from dolmen.support.errors import UsageError

    if not revisions and not single:
        raise UsageError("REV must be specified", hint="dolmen store rev-parse --help")
    history = storing.opened()
    found = [sole_commit(history)] if single else [resolve(history, name) for name in revisions]
    current = session()
    current.answer(found)
    for checksum in found:
        current.say(checksum)
