"""From a directory with manifest and lock to a disk: the image is built where it is not there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dolmen.model import Lock, Manifest, Sha256, parse_lock, parse_manifest
from dolmen.store import Store
from dolmen.store.objects import Objects
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, ignore
from dolmen.system.boot import BootAssets, assets
from dolmen.system.disk.ahead import Ahead, ahead
from dolmen.system.disk.layout import DiskOptions
from dolmen.system.disk.replacing import check_place, replacing
from dolmen.system.disk.toolbox import check_out_tools
from dolmen.system.disk.writing import DiskSummary, write_disk


def declared(directory: Path) -> tuple[Manifest, Lock]:
    """What a directory declares; raises DeclarationError ("no-environment", "no-lock",
    "no-system-declared")."""
    found = []
    for name, reason, mend in (
        ("dolmen.toml", "no-environment", "init"),
        ("dolmen.lock", "no-lock", "lock"),
    ):
        path = directory / name
        if not path.is_file():
            raise DeclarationError(
                f"there is no {name} in {directory}",
                reason=reason,
                context=str(path),
                hint=f"dolmen -C {directory} {mend}",
            )
        found.append(path.read_text(encoding="utf-8", errors="replace"))
    manifest = parse_manifest(found[0])
    if manifest.system is None:
        raise DeclarationError(
            f"{directory / 'dolmen.toml'} declares no system",
            reason="no-system-declared",
            hint="add a [system] table: docs/system.md",
        )
    return manifest, parse_lock(found[1])


def disk_options(manifest: Manifest, lock: Lock, given: DiskOptions) -> DiskOptions:
    """What was given, and for the rest what `[system.disk]` and `[system.update]` say."""
    assert manifest.system is not None
    disk, update = manifest.system.disk, manifest.system.update
    refspec = given.refspec
    if not refspec and update.url and update.ref:
        refspec = f"{update.remote}:{update.ref}"
    return replace(
        given,
        size=given.size or disk.size,
        boot_size=given.boot_size or disk.boot_size,
        esp_size=given.esp_size or disk.esp_size,
        filesystem=disk.filesystem,
        architecture=lock.architecture,
        refspec=refspec,
        grow=disk.grow,
    )


def make_disk(
    directory: Path,
    target: Path,
    *,
    store: Store,
    options: DiskOptions = DiskOptions(),  # noqa: B008 (frozen)
    emit: Emit = ignore,
) -> DiskSummary:
    """Build the system that `directory` declares and write it to a file or a block device.

    Raises what `declared`, building and `write_disk` raise.
    """
    from dolmen.system import building

    manifest, lock = declared(directory)
    wanted = disk_options(manifest, lock, options)
    repository = store.path / "repo"
    # What the image needs must not be collected before it is written.
    with store.locked(emit=emit), ExitStack() as stack:
        writer: Ahead | None = None
        if not target.is_block_device():
            if wanted.form == "raw" and wanted.filesystem == "ext4":
                fd = stack.enter_context(replacing(target))
                writer = stack.enter_context(ahead(fd, wanted))
            else:
                check_place(target)
        composed = writer.begin if writer is not None else None
        image = building.build(lock, manifest, directory, store, emit=emit, composed=composed)
        building.keep_numbers(directory, lock, image)
        return write_disk(
            repository,
            image,
            target,
            assets=boot_loader(store, image.commit, wanted.architecture),
            options=wanted,
            ahead=writer,
            emit=emit,
        )


def boot_loader(
    store: Store, commit: Sha256, architecture: str
) -> Callable[[str, str], BootAssets]:
    """What makes the boot loader of a commit, given the UUIDs of /boot and of the ESP."""

    def make(boot_uuid: str, esp_uuid: str) -> BootAssets:
        with store.scratch() as scratch:
            tree = scratch / "tree"
            check_out_tools(Objects(store.path / "repo"), commit, tree)
            return assets(
                tree,
                scratch,
                boot_uuid=boot_uuid,
                architecture=architecture,
            )

    return make
