"""`dolmen store cat`."""

from __future__ import annotations

import sys

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo cat main server/app.sh
        dolmen store cat main^ /etc/passwd /etc/group
    """
)
@click.argument("revision", metavar="COMMIT")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
def command(revision: str, paths: tuple[str, ...]) -> None:
    """Print files of a commit, byte for byte; links are followed within the commit."""
    import base64

    from dolmen.store.history import revisions, tree

    history = storing.opened()
    found = tree.Tree(history, revisions.resolve(history, revision))
    entries = [found.follow(path) for path in paths]
    current = session()
    if current.json:
        current.answer(
            {
                entry.path: base64.b64encode(b"".join(found.read(entry))).decode()
                for entry in entries
            }
        )
        return
    for entry in entries:
        for piece in found.read(entry):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
