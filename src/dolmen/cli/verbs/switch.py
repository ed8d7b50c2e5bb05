"""`dolmen switch`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb
from dolmen.cli.quick import live_line


@verb(
    examples="""
        dolmen switch 3
        dolmen switch release           (by name: dolmen generations name 3 release)
        dolmen switch -                 (what was live before, as dolmen rollback)
    """
)
@click.argument("reference", metavar="N")
def command(reference: str) -> None:
    """Make generation N the live one, with its manifest and lock. At once; nothing is built."""
    from dolmen.environment import switch

    current = session()
    generation = switch(current.environment(), reference, emit=current.emit)
    current.answer(generation)
    current.say(live_line(generation))
