"""`dolmen system reset-etc`."""

from __future__ import annotations

import click

from dolmen.cli import machine, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system reset-etc /etc/ssh/sshd_config
        dolmen system reset-etc /etc/apt --added    (also what was added there)
    """
)
@click.option("--added", is_flag=True, help="Below directories, remove what was added too.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
def command(paths: tuple[str, ...], added: bool) -> None:
    """Make files of /etc what the image has, so that upgrades change them again.

    A file that the image does not have is removed when it is named. Accounts, machine-id and other
    things of this machine stay, unless they are named themselves.
    """
    from dolmen.system.machine.etc import reset_etc

    done = reset_etc(machine.opened(), paths, added=added)
    current = session()
    current.answer({"paths": done})
    for path in done:
        current.say(text.sanitise(f"Reset: {path}"))
    if not done:
        current.say("Nothing to do: they are as the image has them")
