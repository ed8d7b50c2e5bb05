"""`dolmen drop`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen drop
        dolmen drop --name gcc14
    """
)
@click.option("-n", "--name", metavar="TRIAL", help="Which trial, if there are several.")
def command(name: str | None) -> None:
    """Throw away what was tried; the environment has never known of it."""
    from dolmen.environment import keeping

    current = session()
    dropped = keeping.drop(current.environment(), name)
    current.answer({"dropped": dropped})
    current.say(f"Dropped the trial {dropped}")
