"""`dolmen store tag`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo tag v1 main
        dolmen store tag --force v1 main~2
    """
)
@click.option("--force", is_flag=True, help="Even if the name stands for another commit.")
@click.argument("name", metavar="NAME")
@click.argument("revision", metavar="COMMIT")
def command(name: str, revision: str, force: bool) -> None:
    """Give a commit a name that stays; the same as `refs --create=NAME COMMIT`."""
    from dolmen.store.history import references

    checksum = references.create(storing.opened(), name, revision, force=force)
    session().answer({name: checksum})
