"""`dolmen system kargs`."""

from __future__ import annotations

import click

from dolmen.cli import machine, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system kargs
        dolmen system kargs --append=console=ttyS0 --delete=quiet
        dolmen system kargs --replace=loglevel=7
    """
)
@click.option("--append", metavar="ARG", multiple=True, help="Add an argument.")
@click.option("--delete", metavar="ARG", multiple=True, help="Take out KEY or KEY=VALUE.")
@click.option("--replace", metavar="KEY=VALUE", multiple=True, help="Give KEY another value.")
@click.option("--reboot", is_flag=True, help="Restart with them.")
def command(
    append: tuple[str, ...], delete: tuple[str, ...], replace: tuple[str, ...], reboot: bool
) -> None:
    """Show the kernel's arguments, or make a deployment with others.

    Later images keep what is changed here; what the manifest declares changes with the image.
    """
    from dolmen.system.machine.changes import change_arguments, required
    from dolmen.system.machine.roles import next_started

    sysroot = machine.opened()
    if not (append or delete or replace):
        found = required(next_started(sysroot))
        current = session()
        current.answer({"arguments": found.arguments})
        current.say(text.sanitise(" ".join(found.arguments)))
        return
    outcome = change_arguments(
        sysroot,
        append=append,
        delete=delete,
        replace=replace,
        keep=machine.kept(sysroot),
        emit=session().emit,
    )
    machine.show(outcome)
    if outcome.deployment is not None:
        session().say(text.sanitise(" ".join(outcome.deployment.arguments)))
    if reboot:
        machine.restart(outcome)
