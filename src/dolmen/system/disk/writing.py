"""From an image's commit to a disk that boots, in one pass."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dolmen.model import Sha256
from dolmen.support.clock import monotonic
from dolmen.support.errors import HostError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore
from dolmen.system.boot import BootAssets
from dolmen.system.disk import gpt
from dolmen.system.disk.ahead import Ahead
from dolmen.system.disk.layout import MIB, DiskOptions
from dolmen.system.disk.media import Behind, Device, Sparse, copy_data, sector_size
from dolmen.system.disk.preparing import Bootable, Prepared
from dolmen.system.disk.qcow2 import Qcow2
from dolmen.system.disk.replacing import replacing, unwritable


@dataclass(frozen=True, slots=True)
class DiskSummary:
    """What was written: sizes in bytes, `written` without holes; partitions by name."""

    target: Path
    form: str
    size: int
    written: int
    commit: Sha256
    kernel: str
    root_uuid: str
    boot_uuid: str
    esp_uuid: str
    partitions: tuple[gpt.Partition, ...]


def write_disk(
    repository: Path,
    image: Bootable,
    target: Path,
    *,
    assets: Callable[[str, str], BootAssets],
    options: DiskOptions,
    ahead: Ahead | None = None,
    emit: Emit = ignore,
) -> DiskSummary:
    """Write a disk image to a file (replaced as a whole) or onto a block device.

    `assets` is given the UUIDs of /boot and of the ESP. The bytes are a function of image, boot
    loader and options, whether some of them were written `ahead` or not. A file appears under its
    name when it is whole and synced (one that is written ahead: at the end of its `replacing`); a
    device is written after all that goes there has been read and checked once, and read back at the
    end. Raises what `Prepared` raises, HostError ("disk-full", "disk-in-use", "disk-differs",
    "disk-sectors"), and StoreError ("object-damaged") before the target is touched.
    """
    start = monotonic()
    if _is_device(target):
        with _opened(target) as fd:
            whole = os.lseek(fd, 0, os.SEEK_END)
            prepared = Prepared(repository, image, assets=assets, options=options, whole=whole)
            checked = monotonic()
            emit(PhaseStarted(Phase.CHECK))
            prepared.check()
            emit(PhaseFinished(Phase.CHECK, len(prepared.objects), monotonic() - checked))
            emit(PhaseStarted(Phase.WRITE))
            written = _write_device(fd, prepared, emit)
    else:
        there = ahead.finish() if ahead is not None else {}
        prepared = Prepared(repository, image, assets=assets, options=options, written=there)
        emit(PhaseStarted(Phase.WRITE))
        if ahead is not None:
            ahead.give_up(prepared.kept)
            written = _write_into(ahead.fd, target, prepared, emit)
        else:
            with replacing(target) as fd:
                written = _write_into(fd, target, prepared, emit)
    emit(PhaseFinished(Phase.WRITE, 1, monotonic() - start, written))
    return DiskSummary(
        target=target,
        form="device" if _is_device(target) else options.form,
        size=prepared.layout.size,
        written=written,
        commit=image.commit,
        kernel=prepared.kernel.release,
        root_uuid=prepared.root_uuid,
        boot_uuid=prepared.boot_uuid,
        esp_uuid=prepared.esp_uuid,
        partitions=prepared.layout.partitions,
    )


def _write_device(fd: int, prepared: Prepared, emit: Emit) -> int:
    """What was there ends first and what comes begins last: a cut leaves no disk of either."""
    device = Device(fd)
    size = prepared.layout.size
    device.zero(0, MIB)
    device.zero(size - MIB, MIB)
    for part in (prepared.layout.boot, prepared.layout.root):
        # What keeps its mark at the end of a partition (RAID, ZFS) would still be seen there.
        device.zero(part.start + part.size - MIB, MIB)
    device.finish()
    with Behind(device) as behind:
        prepared.write(behind, emit)
    prepared.fill(fd)
    device.finish()
    prepared.write_table(device)
    device.finish()
    device.verify()
    device.reread()
    return device.written


def _write_into(fd: int, target: Path, prepared: Prepared, emit: Emit) -> int:
    """Write a file that is to take the target's place; it is on the disk then."""
    size = prepared.layout.size
    packed = prepared.options.form == "qcow2"
    _need_room(fd, prepared, target)
    if prepared.root is None and packed:
        return _packed(fd, prepared, target, emit)
    medium = Qcow2(fd, size) if packed else Sparse(fd, size)
    with Behind(medium) as behind:
        prepared.write(behind, emit)
    prepared.fill(fd)
    prepared.write_table(medium)
    medium.finish()
    os.fsync(fd)
    return os.fstat(fd).st_blocks * 512


def _packed(fd: int, prepared: Prepared, target: Path, emit: Emit) -> int:
    """A qcow2 of a root that the kernel has to write: by way of a raw disk without a name."""
    size = prepared.layout.size
    raw = os.open(target.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    try:
        sparse = Sparse(raw, size)
        prepared.write(sparse, emit)
        prepared.fill(raw)
        prepared.write_table(sparse)
        medium = Qcow2(fd, size)
        copy_data(raw, medium, size)
        medium.finish()
        return medium.written
    finally:
        os.close(raw)


def _need_room(fd: int, prepared: Prepared, target: Path) -> None:
    found = os.fstatvfs(fd)
    root = prepared.root.used if prepared.root is not None else prepared.content
    needed = root + prepared.boot.used
    free = found.f_bavail * found.f_frsize + os.fstat(fd).st_blocks * 512
    if free < needed:
        raise HostError(
            f"{target.parent} has {free // MIB} MiB free, and the disk image takes {needed // MIB}",
            reason="disk-full",
            hint=f"df -h {target.parent}",
        )


@contextmanager
def _opened(device: Path) -> Iterator[int]:
    """A block device for ourselves alone; the kernel refuses one that is mounted or in use."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise unwritable(device, error) from None
        raise HostError(
            f"something uses {device}",
            reason="disk-in-use",
            hint=f"see what uses it: lsblk {device}",
        ) from None
    try:
        if sector_size(fd) != gpt.SECTOR:
            raise HostError(
                f"{device} has sectors of {sector_size(fd)} bytes; 512 are supported",
                reason="disk-sectors",
            )
        yield fd
    except OSError as error:
        raise unwritable(device, error) from None
    finally:
        os.close(fd)


def _is_device(target: Path) -> bool:
    try:
        return stat.S_ISBLK(target.stat().st_mode)
    except OSError:
        return False
