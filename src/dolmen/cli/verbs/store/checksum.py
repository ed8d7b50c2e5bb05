"""`dolmen store checksum`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store checksum /etc/hostname
        dolmen store checksum --ignore-xattrs tree/server/app.sh
    """
)
@click.option("--ignore-xattrs", is_flag=True, help="Without extended attributes.")
@click.argument("path", metavar="PATH")
def command(path: str, ignore_xattrs: bool) -> None:
    """Print the checksum that a file or a directory's entry would have in a commit."""
    from dolmen.store.history.differing import Directory

    found = Directory(path, uid=None, gid=None, xattrs=not ignore_xattrs).root
    current = session()
    current.answer({"path": path, "checksum": found.checksum})
    current.say(found.checksum)
