"""`dolmen system install /dev/X`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dolmen.cli import disks, text
from dolmen.cli.options import session, verb

if TYPE_CHECKING:
    from dolmen.system.disk.survey import Survey


@verb(
    examples="""
        dolmen system install /dev/sdX
        dolmen -C machine system install /dev/nvme0n1 --yes
        dolmen system install ./vm.raw      (a file that is a disk; it keeps its size)
    """
)
@click.option("--yes", is_flag=True, help="Do not ask; everything on the disk is lost.")
@disks.seed_option
@click.argument("target", metavar="DISK", type=click.Path(path_type=Path))
def command(target: Path, yes: bool, seed: str) -> None:
    """Write the system that the manifest declares to a disk; all that is there is lost.

    What is there is shown first, and a disk of which anything is mounted is refused. The root
    grows to the whole disk when it first starts.
    """
    from dolmen.store import Store
    from dolmen.system.disk.layout import DiskOptions
    from dolmen.system.disk.making import declared, make_disk
    from dolmen.system.disk.survey import refuse_used, survey

    current = session()
    found = survey(target)
    refuse_used(found)
    directory = disks.directory(current)
    declared(directory)
    if not yes:
        _confirm(found)
    size = found.size if target.is_file() else 0
    disks.show(
        make_disk(
            directory,
            target.absolute(),
            store=Store.open(current.store),
            options=DiskOptions(size=size, seed=seed),
            emit=current.emit,
        )
    )


def _confirm(found: Survey) -> None:
    """Show what will be lost, and have the name typed; raises UsageError ("not-confirmed")."""
    from dolmen.support.errors import UsageError

    text.write_line(sys.stderr, f"All of this will be lost on {found.target}:")
    for part in found.parts:
        words = [part.name, text.size(part.size), part.filesystem, part.label]
        text.write_line(sys.stderr, "  " + "  ".join(word for word in words if word))
    name = str(found.target)
    if sys.stdin.isatty():
        text.write_line(sys.stderr, f"Type {name} to overwrite it:")
        if sys.stdin.readline().strip() == name:
            return
    raise UsageError(
        f"{name} stays as it is: nobody confirmed that it shall be overwritten",
        reason="not-confirmed",
        hint="add --yes",
    )
