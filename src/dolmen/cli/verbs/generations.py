"""`dolmen generations`."""

from __future__ import annotations

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen generations
        dolmen generations --json
    """
)
def command() -> None:
    """List the environment's generations; the live one is marked."""
    from dolmen.environment import list_generations

    current = session()
    found = list_generations(current.environment())
    current.answer(found)
    for listed in found:
        generation = listed.generation
        mark = text.paint("*", "bold", "green", colour=current.paints) if listed.live else " "
        missing = "" if listed.whole else "  (image no longer in the store)"
        current.say(
            f"{mark} {generation.number:>4}  {generation.created}  "
            f"{generation.packages:>5} packages  {text.sanitise(generation.command)}{missing}"
        )
