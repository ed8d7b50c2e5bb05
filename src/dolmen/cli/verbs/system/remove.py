"""`dolmen system remove`."""

from __future__ import annotations

import click

from dolmen.cli import machine


@machine.machine_verb(
    examples="""
        dolmen system remove htop           (what was layered)
        dolmen system remove nano           (what the image has: later images do without it too)
    """
)
@click.option("--reboot", is_flag=True, help="Restart into it.")
@click.argument("packages", metavar="PACKAGE...", nargs=-1, required=True)
def command(packages: tuple[str, ...], reboot: bool) -> None:
    """Take packages out of what is started next: layered ones, or the image's own."""
    from dolmen.system.machine.layering_verbs import remove

    machine.relay(lambda layers: remove(layers, packages), reboot=reboot)
