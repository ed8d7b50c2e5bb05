"""`dolmen system cleanup`."""

from __future__ import annotations

import click

from dolmen.cli import machine, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system cleanup                (what nothing needs, and what a killed change left)
        dolmen system cleanup --pending      (give up what would be started next)
        dolmen system cleanup --rollback --kept
        dolmen system cleanup 2
    """
)
@click.option("--pending", is_flag=True, help="With what is waiting to be started.")
@click.option("--rollback", is_flag=True, help="With what one could go back to.")
@click.option("--kept", is_flag=True, help="With all older ones.")
@click.argument("deployments", metavar="[DEPLOYMENT]...", nargs=-1)
def command(pending: bool, rollback: bool, kept: bool, deployments: tuple[str, ...]) -> None:
    """Remove what no deployment needs, and deployments; pinned ones and the running one stay."""
    from dolmen.system.machine.changes import cleanup, undeploy

    sysroot = machine.opened()
    with sysroot.changing():
        leaving = [undeploy(sysroot, name) for name in deployments]
        leaving += cleanup(sysroot, pending=pending, rollbacks=rollback, kept=kept)
    current = session()
    current.answer({"removed": [machine.value_of(one) for one in leaving]})
    for one in leaving:
        current.say(text.sanitise(f"Removed: {one.version}"))
    if not leaving:
        current.say("No deployment was removed; what none needs is gone.")
