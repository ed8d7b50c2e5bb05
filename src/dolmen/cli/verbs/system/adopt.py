"""`dolmen system adopt`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen --dir machine system adopt            (this machine; as root, to see all)
        dolmen --dir machine system adopt --root=/mnt
    """
)
@click.option(
    "--root",
    metavar="DIR",
    default="/",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the other system is mounted.",
)
def command(root: Path) -> None:
    """Write a manifest of what an ordinary Debian has, as a start for a declared one.

    The packages that somebody asked for, sources with their keys, changed conffiles and own units
    as files beside the manifest, units enabled, disabled and masked by hand, people's accounts,
    host name, locale, time zone. Nothing there is run or changed. Passwords are left out.
    """
    from dolmen.system.adoption.writing import adopt

    current = session()
    found = adopt(root.absolute(), (current.directory or Path()).absolute())
    current.answer(found)
    current.say(
        text.sanitise(
            f"Wrote {found.manifest}: {text.count(len(found.packages), 'package')}, "
            f"{text.count(len(found.users), 'user')}, {text.count(len(found.files), 'file')}"
        )
    )
    for note in found.notes:
        current.say(text.sanitise(f"To look at: {note}"))
    current.say("Next: read it, then dolmen lock && dolmen system build")
