"""`dolmen system install PKG…`: packages over the image."""

from __future__ import annotations

import click

from dolmen.cli import machine


@machine.machine_verb(
    examples="""
        dolmen system install htop
        dolmen system install nginx/bookworm-backports --reboot
        dolmen system install /dev/sda         (something else: writes the system to a disk)
    """
)
@click.option("--reboot", is_flag=True, help="Restart into it.")
@click.argument("packages", metavar="PACKAGE...", nargs=-1, required=True)
def command(packages: tuple[str, ...], reboot: bool) -> None:
    """Lay packages over the image that is started next; later images get them too.

    All else stays at the image's versions where that is possible.
    """
    from dolmen.system.machine.layering_verbs import install

    machine.relay(lambda layers: install(layers, packages), reboot=reboot)
