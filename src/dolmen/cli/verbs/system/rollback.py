"""`dolmen system rollback`."""

from __future__ import annotations

import click

from dolmen.cli import machine


@machine.machine_verb(
    examples="""
        dolmen system rollback
        dolmen system rollback --reboot
    """
)
@click.option("--reboot", is_flag=True, help="Restart into it.")
def command(reboot: bool) -> None:
    """Start what was there before, from now on.

    Where the running system was chosen in the boot menu, or another is waiting to be started, it is
    the running one that is started from now on. To start an older one only once, choose it in the
    menu.
    """
    from dolmen.system.machine.changes import rollback

    outcome = rollback(machine.opened())
    machine.show(outcome, what="From now on")
    if reboot:
        machine.restart(outcome)
