"""`dolmen system pin`."""

from __future__ import annotations

import click

from dolmen.cli import machine, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system pin 0              (by its place in the menu)
        dolmen system pin booted
        dolmen system pin --off 12.20260801
    """
)
@click.option("--off", is_flag=True, help="No longer.")
@click.argument("deployment", metavar="DEPLOYMENT")
def command(deployment: str, off: bool) -> None:
    """Keep a deployment whatever comes, or no longer."""
    from dolmen.system.machine.changes import pin

    found = pin(machine.opened(), deployment, pinned=not off)
    current = session()
    current.answer(machine.value_of(found))
    current.say(text.sanitise(f"{found.version} is {'no longer ' if off else ''}pinned"))
