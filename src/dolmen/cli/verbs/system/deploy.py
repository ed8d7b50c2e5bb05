"""`dolmen system deploy`."""

from __future__ import annotations

import click

from dolmen.cli import machine
from dolmen.cli.collecting import bound, with_room
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system deploy update:debian/main
        dolmen system deploy 4f3c2a             (a commit of the sysroot's repository)
        dolmen system deploy /etc/dolmen        (what the manifest and lock there say)
        dolmen system deploy old.lock --allow-downgrade
        dolmen system deploy --sysroot=/mnt debian/main --karg=root=LABEL=root --karg=rw
    """
)
@click.option("--karg", "arguments", metavar="ARG", multiple=True, help="A kernel argument.")
@click.option("--allow-downgrade", is_flag=True, help="Take an image older than what was here.")
@click.option("--keep", type=click.IntRange(0, 100), metavar="N", help="Keep N more deployments.")
@click.option("--reboot", is_flag=True, help="Restart into it.")
@click.argument("target", metavar="LOCK|REF|DIR")
def command(
    target: str,
    arguments: tuple[str, ...],
    allow_downgrade: bool,
    keep: int | None,
    reboot: bool,
) -> None:
    """Make an image the system that is started next; what runs stays as it is.

    A commit or ref of the sysroot's repository, or a lock or directory with manifest and lock, of
    which the image is built here first. The image is judged before anything is switched.
    """
    from dolmen.system.machine.deploying import deploy

    current = session()
    sysroot = machine.opened()
    outcome = with_room(
        lambda: deploy(
            sysroot,
            target,
            arguments=arguments,
            store=current.store,
            allow_downgrade=allow_downgrade,
            keep=keep,
            emit=current.emit,
        )
    )
    bound(outcome)
    machine.show(outcome)
    if reboot:
        machine.restart(outcome)
