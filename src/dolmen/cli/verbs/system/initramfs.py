"""`dolmen system initramfs`."""

from __future__ import annotations

import click

from dolmen.cli import machine, text
from dolmen.cli.options import session


@machine.machine_verb(
    examples="""
        dolmen system initramfs
        dolmen system initramfs --add='add_drivers+=" nvme "'
        dolmen system initramfs --clear
    """
)
@click.option("--add", metavar="LINE", multiple=True, help="A line of dracut.conf(5).")
@click.option("--delete", metavar="LINE", multiple=True, help="Take a line out again.")
@click.option("--clear", is_flag=True, help="Take all of them out.")
@click.option("--reboot", is_flag=True, help="Restart into it.")
def command(add: tuple[str, ...], delete: tuple[str, ...], clear: bool, reboot: bool) -> None:
    """Show the initramfs of what is started next, or have it made with other settings.

    An image's initramfs is generic and part of the image: there is nothing to rebuild on a machine
    unless it needs something else. Lines given here are laid over this and later images, as
    packages are.
    """
    from dolmen.system.machine.changes import required
    from dolmen.system.machine.layering_verbs import configure_initramfs
    from dolmen.system.machine.layers import layers_of
    from dolmen.system.machine.roles import next_started

    if add or delete or clear:
        machine.relay(
            lambda layers: configure_initramfs(layers, add=add, delete=delete, clear=clear),
            reboot=reboot,
        )
        return
    sysroot = machine.opened()
    found = required(next_started(sysroot))
    size = 0
    for path in (found.path / "usr/lib/modules").glob("*/initramfs.img"):
        size = path.stat().st_size
    lines = layers_of(found).dracut
    current = session()
    current.answer({"kernel": found.metadata.kernel, "size": size, "lines": lines})
    current.say(text.sanitise(f"Kernel {found.metadata.kernel}, initramfs {text.size(size)}"))
    for line in lines:
        current.say(text.sanitise(f"  {line}"))
