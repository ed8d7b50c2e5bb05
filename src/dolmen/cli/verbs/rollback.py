"""`dolmen rollback`."""

from __future__ import annotations

from dolmen.cli.options import session, verb
from dolmen.cli.quick import live_line


@verb(
    examples="""
        dolmen rollback                 (twice: back to where you were)
    """
)
def command() -> None:
    """Go back to the generation that was live before this one, with its manifest and lock."""
    from dolmen.environment import rollback

    current = session()
    generation = rollback(current.environment(), emit=current.emit)
    current.answer(generation)
    current.say(live_line(generation))
