"""`dolmen switch`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen switch 3
    """
)
@click.argument("number", metavar="N", type=click.IntRange(min=1))
def command(number: int) -> None:
    """Make generation N the live one, with its manifest and lock. At once; nothing is built."""
    from dolmen.environment import switch

    current = session()
    generation = switch(current.environment(), number, emit=current.emit)
    current.answer(generation)
    current.say(f"Generation {generation.number} is live ({generation.packages} packages)")
