"""The partition table: GPT with a protective MBR (UEFI specification, chapter 5)."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

SECTOR = 512
#: Partitions start at whole mebibytes.
ALIGNMENT = 1 << 20
_ENTRIES = 128
_ENTRY = 128
#: Header and entries at the end of the disk.
TAIL = SECTOR + _ENTRIES * _ENTRY

BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
EXTENDED_BOOT = uuid.UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172")
#: Discoverable root partitions, by Debian architecture (Discoverable Partitions Specification).
ROOT = {
    "amd64": uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
    "arm64": uuid.UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),
    "i386": uuid.UUID("44479540-f297-41b2-9af7-d131d5f0458a"),
    "riscv64": uuid.UUID("72ec70a6-cf74-40e6-bd49-4bda08e8f224"),
}
#: "The file system shall be grown to the partition" of the same specification.
GROW = 1 << 59


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; `start` and `size` in bytes, multiples of a sector."""

    kind: uuid.UUID
    identity: uuid.UUID
    name: str
    start: int
    size: int
    attributes: int = 0


def protective_mbr(size: int, code: bytes = b"") -> bytes:
    """The first sector: one partition of type 0xEE over all, and 440 bytes of boot code."""
    sectors = min(size // SECTOR - 1, 0xFFFFFFFF)
    # Active, for the firmwares that boot by MBR from nothing else, is against the specification.
    record = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, sectors)
    return (code[:440].ljust(446, b"\0") + record).ljust(510, b"\0") + b"\x55\xaa"


def tables(size: int, identity: uuid.UUID, partitions: Sequence[Partition]) -> tuple[bytes, bytes]:
    """What goes behind the first sector, and what goes to the last `TAIL` bytes of the disk."""
    entries = b"".join(_entry(partition) for partition in partitions)
    entries = entries.ljust(_ENTRIES * _ENTRY, b"\0")
    last = size // SECTOR - 1
    table = len(entries) // SECTOR
    checksum = zlib.crc32(entries)
    usable = (2 + table, last - table - 1)
    first = _header(1, last, 2, usable, identity, checksum)
    backup = _header(last, 1, last - table, usable, identity, checksum)
    return first + entries, entries + backup


def _header(
    here: int, other: int, table: int, usable: tuple[int, int], identity: uuid.UUID, checksum: int
) -> bytes:
    def pack(own: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x00010000,
            92,
            own,
            0,
            here,
            other,
            *usable,
            identity.bytes_le,
            table,
            _ENTRIES,
            _ENTRY,
            checksum,
        )

    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def _entry(partition: Partition) -> bytes:
    return struct.pack(
        "<16s16sQQQ72s",
        partition.kind.bytes_le,
        partition.identity.bytes_le,
        partition.start // SECTOR,
        (partition.start + partition.size) // SECTOR - 1,
        partition.attributes,
        partition.name.encode("utf-16-le")[:72],
    )
