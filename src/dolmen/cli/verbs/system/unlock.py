"""`dolmen system unlock`."""

from __future__ import annotations

import click

from dolmen.cli import machine
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system unlock
        dolmen system unlock --hotfix    (outlives a restart, until the next deployment)
    """
)
@click.option("--hotfix", is_flag=True, help="Keep what is written until another deployment.")
def command(hotfix: bool) -> None:
    """Let the running /usr be written to, until the next start.

    Apt and dpkg work then, for a look or a repair in need. What is written lies on a layer over the
    image, which is forgotten.
    """
    from dolmen.system.machine.changes import unlock

    found = unlock(machine.opened(mounting=True), hotfix=hotfix)
    current = session()
    current.answer(machine.value_of(found))
    until = "until another is deployed" if hotfix else "until the next start"
    current.say(f"/usr can be written to, {until}.")
