"""The root takes the whole disk when it first starts, where its partition asks for that.

Bit 59 of a partition's attributes says so (Discoverable Partitions Specification). Neither
systemd-repart nor growpart is in every image, and both would need a configuration that says less.
Written so that a power cut leaves a table that is whole: the copy at the disk's end first.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.errors import HostError
from dolmen.support.files import write_atomic
from dolmen.support.run import run
from dolmen.system.disk.gpt import ALIGNMENT, GROW, SECTOR

_HEADER = "<8sIIIIQQQQ16sQIII"
# linux/blkpg.h
_BLKPG, _RESIZE = 0x1269, 3
_RESIZE_TIMEOUT = 600.0
#: The disk's place in /sys and its sectors when nothing was left to do: `boot-menu` looks there
#: first, so that most starts need no Python.
SEEN = Path("/boot/dolmen/disk")
#: How a file system that is mounted takes the whole of its partition.
_GROWERS = {
    "ext4": ("resize2fs", "{partition}"),
    "xfs": ("xfs_growfs", "{mountpoint}"),
    "btrfs": ("btrfs", "filesystem", "resize", "max", "{mountpoint}"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """A partition table as it was read: the header's fields and the raw entries."""

    header: tuple[int, ...]
    identity: bytes
    entries: bytes
    entry_size: int

    def entry(self, number: int) -> bytes:
        """The raw entry of a partition, numbers as the kernel counts them (from 1)."""
        return self.entries[(number - 1) * self.entry_size : number * self.entry_size]


def grow(table: Table, number: int, size: int) -> tuple[Table, int, int] | None:
    """Let a partition reach to the end of a disk of `size` bytes.

    Returns the new table with the partition's first sector and its length in sectors; None when
    it does not ask for that, another follows it, or less than a mebibyte is to be won.
    """
    entry = table.entry(number)
    first, last, attributes = struct.unpack_from("<QQQ", entry, 32)
    if not attributes & GROW:
        return None
    starts = [
        struct.unpack_from("<Q", table.entries, place + 32)[0]
        for place in range(0, len(table.entries), table.entry_size)
        if any(table.entries[place : place + 16])
    ]
    if any(start > first for start in starts):
        return None
    table_sectors = len(table.entries) // SECTOR
    usable = size // SECTOR - 1 - table_sectors - 1
    end = (usable + 1) // (ALIGNMENT // SECTOR) * (ALIGNMENT // SECTOR) - 1
    if end - last < ALIGNMENT // SECTOR:
        return None
    entries = bytearray(table.entries)
    struct.pack_into("<Q", entries, (number - 1) * table.entry_size + 40, end)
    return (
        Table(table.header, table.identity, bytes(entries), table.entry_size),
        first,
        end - first + 1,
    )


def read_table(disk: int) -> Table:
    """Read the first table of an open disk. Raises HostError "no-partition-table"."""
    head = os.pread(disk, SECTOR, SECTOR)
    fields = struct.unpack_from(_HEADER, head)
    magic, count, entry_size, checksum = fields[0], fields[11], fields[12], fields[13]
    if magic != b"EFI PART" or entry_size != 128 or count != 128 or fields[10] != 2:
        raise HostError("the disk has no partition table of ours", reason="no-partition-table")
    entries = os.pread(disk, count * entry_size, 2 * SECTOR)
    if zlib.crc32(entries) != checksum:
        raise HostError("the disk's partition table is damaged", reason="no-partition-table")
    return Table(fields[1:9], fields[9], entries, entry_size)


def write_table(disk: int, table: Table, size: int) -> None:
    """Write a table and its copy at the new end, the copy first; durable."""
    last = size // SECTOR - 1
    sectors = len(table.entries) // SECTOR
    usable = (2 + sectors, last - sectors - 1)
    first = _header(table, 1, last, 2, usable)
    copy = _header(table, last, 1, last - sectors, usable)
    os.pwrite(disk, table.entries + copy, (last - sectors) * SECTOR)
    os.fsync(disk)
    # One write: between header and entries nothing fits.
    os.pwrite(disk, first + table.entries, SECTOR)
    os.fsync(disk)


def _header(table: Table, here: int, other: int, entries: int, usable: tuple[int, int]) -> bytes:
    def pack(own: int) -> bytes:
        return struct.pack(
            _HEADER,
            *(b"EFI PART", 0x00010000, 92, own, 0, here, other, *usable, table.identity),
            *(entries, 128, table.entry_size, zlib.crc32(table.entries)),
        )

    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def grow_root(mountpoint: Path) -> str:
    """Grow the partition that is mounted there, and its file system; returns what was done, or "".

    Raises HostError ("no-partition-table", "program-failed"), OSError.
    """
    kind, source = mounted_from(mountpoint, Path("/proc/self/mountinfo").read_text())
    # btrfs counts devices of its own, which are no partitions.
    device = os.stat(source).st_rdev if source else os.stat(mountpoint).st_dev
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if not (place / "partition").is_file():
        return ""
    number = int((place / "partition").read_text())
    partition, whole = Path("/dev") / place.name, Path("/dev") / place.parent.name
    size = int((place.parent / "size").read_text()) * SECTOR
    disk = os.open(whole, os.O_RDWR | os.O_CLOEXEC)
    try:
        made = grow(read_table(disk), number, size)
        if made is not None:
            table, start, length = made
            write_table(disk, table, size)
            _tell_kernel(disk, number, start * SECTOR, length * SECTOR)
    finally:
        os.close(disk)
    if made is None and not _asks(whole, number):
        _note(place.parent, size)
        return ""
    # Again at each start: a power cut may have come between the table and the file system.
    argv = _GROWERS.get(kind, _GROWERS["ext4"])
    words = [word.format(partition=partition, mountpoint=mountpoint) for word in argv]
    done = run(words, timeout=_RESIZE_TIMEOUT)
    if not done.ok:
        raise HostError(
            "the root file system cannot be grown",
            reason="program-failed",
            details=done.stderr.decode(errors="replace").splitlines()[-5:],
        )
    _note(place.parent, size)
    return f"{partition} has the whole disk" if made is not None else ""


def _note(disk: Path, size: int) -> None:
    # A /boot without room for it costs later starts some time, and nothing else.
    with suppress(OSError):
        SEEN.parent.mkdir(mode=0o755, exist_ok=True)
        write_atomic(SEEN, f"{disk} {size // SECTOR}\n")


def mounted_from(mountpoint: Path, mounts: str) -> tuple[str, str]:
    """The kind of the file system that is mounted there and its device, from mountinfo (proc(5));
    empty words when that cannot be told."""
    found = ("", "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, words = before.split(), after.split()
        if len(fields) > 4 and fields[4] == str(mountpoint) and len(words) > 1:
            # The last one counts: it lies over the others.
            found = (words[0], words[1] if words[1].startswith("/dev/") else "")
    return found


def _asks(whole: Path, number: int) -> bool:
    with whole.open("rb") as disk:
        attributes = struct.unpack_from("<Q", read_table(disk.fileno()).entry(number), 48)[0]
    return bool(attributes & GROW)


def _tell_kernel(disk: int, number: int, start: int, length: int) -> None:
    """The kernel's own table: BLKPG, for a disk in use cannot be read anew."""
    names = bytes(128)
    partition = struct.pack("<qqi", start, length, number) + names
    partition += bytes(-len(partition) % 8)
    import ctypes

    buffer = ctypes.create_string_buffer(partition, len(partition))
    request = struct.pack("<iiixxxxQ", _RESIZE, 0, len(partition), ctypes.addressof(buffer))
    fcntl.ioctl(disk, _BLKPG, request)
