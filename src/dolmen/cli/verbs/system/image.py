"""`dolmen system image`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import disks
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen system image -o disk.raw
        dolmen system image -o disk.qcow2 --size=20G
        dolmen -C machine system image -o disk.raw --seed=second
    """
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The disk image; .qcow2 or .raw, replaced when the new one is whole.",
)
@click.option(
    "--format", "form", type=click.Choice(["raw", "qcow2"]), help="Where the name does not tell."
)
@click.option(
    "--size", type=disks.Size(), metavar="SIZE", help="Of the whole disk (default: as needed)."
)
@disks.seed_option
def command(output: Path, form: str | None, size: int | None, seed: str) -> None:
    """Write a disk that boots by UEFI and by BIOS, from the manifest's [system].

    No root, no loop devices, no mounts. The same lock and seed give the same bytes; holes stay
    holes, so the file takes what the system takes.
    """
    from dolmen.store import Store
    from dolmen.system.disk.layout import DiskOptions
    from dolmen.system.disk.making import make_disk

    current = session()
    options = DiskOptions(
        size=size or 0,
        seed=seed,
        form=form or ("qcow2" if output.suffix == ".qcow2" else "raw"),
    )
    disks.show(
        make_disk(
            disks.directory(current),
            output.absolute(),
            store=Store.open(current.store),
            options=options,
            emit=current.emit,
        )
    )
