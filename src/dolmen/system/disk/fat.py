"""A FAT file system with a few small files, for the EFI system partition.

FAT32 where its size gives the 65525 clusters that make it one, else FAT16 (Microsoft's "FAT:
General Overview of On-Disk Format", which UEFI refers to). Names that are no 8.3 get a long name.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from dolmen.support.errors import UsageError

SECTOR = 512
_RESERVED = 32
_FATS = 2
_ROOT_ENTRIES = 512  # of FAT16
_LEAST_FAT32 = 65525
_SHORT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$%'-_@~`!(){}^#&")
_DIRECTORY, _ARCHIVE, _VOLUME, _LONG = 0x10, 0x20, 0x08, 0x0F


@dataclass(slots=True)
class _Directory:
    entries: dict[str, _Directory | bytes] = field(default_factory=dict)


class Fat:
    """A FAT file system of `size` bytes, whole in memory but for its empty end.

    `files`: content by path ("EFI/BOOT/BOOTX64.EFI"); `serial`: 32 bits; `stamp`: seconds, for
    all dates. Raises UsageError ("disk-too-small").
    """

    def __init__(
        self, size: int, files: Mapping[str, bytes], *, serial: int, label: str, stamp: int
    ) -> None:
        self._sectors = size // SECTOR
        self._serial = serial
        self._label = label.upper().encode("ascii")[:11].ljust(11)
        self._date = _date(stamp)
        self._per_cluster = 1
        while self._sectors // self._per_cluster > 1 << 21:
            self._per_cluster *= 2
        self.wide = self._sectors // self._per_cluster > _LEAST_FAT32 + 2048
        if not self.wide:
            while self._sectors // self._per_cluster > 60000:
                self._per_cluster *= 2
        self._shape()
        self._next = 2
        self._chains: list[tuple[int, int]] = []
        self._clusters: list[tuple[int, bytes]] = []
        tree = _tree(files)
        if self.wide:
            # The root directory is a chain as any other and must be number 2.
            self._take(self._length(tree, root=True))
            self._clusters.append((2, self._contents(tree, 2, 0, root=True)))
        else:
            self._root = self._contents(tree, 0, 0, root=True)
            if len(self._root) > _ROOT_ENTRIES * 32:
                raise _too_small(size)
        if self._next > self._count + 2:
            raise _too_small(size)

    def pieces(self) -> list[tuple[int, bytes]]:
        """What to write, as (offset, bytes) in ascending order; the rest reads as zero."""
        boot = self._boot_sector()
        found = [(0, boot)]
        if self.wide:
            info = self._information()
            found += [(SECTOR, info), (6 * SECTOR, boot), (7 * SECTOR, info)]
        fat = self._table()
        for number in range(_FATS):
            found.append(((self._reserved + number * self._fat_sectors) * SECTOR, fat))
        if not self.wide:
            start = self._reserved + _FATS * self._fat_sectors
            found.append((start * SECTOR, self._root))
        for cluster, data in sorted(self._clusters):
            start = self._first_data + (cluster - 2) * self._per_cluster
            found.append((start * SECTOR, data))
        return found

    @property
    def _cluster_bytes(self) -> int:
        return self._per_cluster * SECTOR

    def _shape(self) -> None:
        self._reserved = _RESERVED if self.wide else 4
        width = 4 if self.wide else 2
        root = 0 if self.wide else _ROOT_ENTRIES * 32 // SECTOR
        left = self._sectors - self._reserved - root
        # Each cluster costs its sectors and one entry in both tables.
        clusters = left * SECTOR // (self._cluster_bytes + _FATS * width)
        self._fat_sectors = -(-(clusters + 2) * width // SECTOR)
        self._first_data = self._reserved + _FATS * self._fat_sectors + root
        self._count = (self._sectors - self._first_data) // self._per_cluster
        least = _LEAST_FAT32 if self.wide else 4085
        if self._count < least:
            raise _too_small(self._sectors * SECTOR)

    def _take(self, length: int) -> int:
        """A chain for so many bytes; returns its first cluster, 0 for nothing."""
        count = -(-length // self._cluster_bytes)
        if not count:
            return 0
        first = self._next
        self._chains.append((first, count))
        self._next += count
        return first

    def _length(self, tree: _Directory, *, root: bool = False) -> int:
        slots = 1 if root else 2
        for name in tree.entries:
            slots += 1 + (0 if _is_short(name) else -(-len(name) // 13))
        return slots * 32

    def _contents(self, tree: _Directory, here: int, above: int, *, root: bool = False) -> bytes:
        out = []
        if root:
            out.append(self._slot(self._label, _VOLUME, 0, 0))
        else:
            out.append(self._slot(b".".ljust(11), _DIRECTORY, here, 0))
            out.append(self._slot(b"..".ljust(11), _DIRECTORY, above, 0))
        taken: set[bytes] = set()
        for name, entry in tree.entries.items():
            short = _short(name, taken)
            if not _is_short(name):
                out += _long(name, short)
            if isinstance(entry, bytes):
                first = self._take(len(entry))
                if first:
                    self._clusters.append((first, entry))
                out.append(self._slot(short, _ARCHIVE, first, len(entry)))
                continue
            first = self._take(self._length(entry))
            # `..` of a directory in the root says 0, also where the root has a number.
            content = self._contents(entry, first, 0 if root else here)
            self._clusters.append((first, content))
            out.append(self._slot(short, _DIRECTORY, first, 0))
        return b"".join(out)

    def _slot(self, name: bytes, kind: int, cluster: int, size: int) -> bytes:
        day, clock = self._date
        return struct.pack(
            "<11sBBBHHHHHHHI",
            name,
            kind,
            0,
            0,
            clock,
            day,
            day,
            cluster >> 16,
            clock,
            day,
            cluster & 0xFFFF,
            size,
        )

    def _table(self) -> bytes:
        width, end = (4, 0x0FFFFFFF) if self.wide else (2, 0xFFFF)
        values = [0x0FFFFFF8 if self.wide else 0xFFF8, end]
        for first, count in self._chains:
            values += [*range(first + 1, first + count), end]
        kind = "I" if width == 4 else "H"
        data = struct.pack(f"<{len(values)}{kind}", *values)
        return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")

    def _boot_sector(self) -> bytes:
        small = self._sectors if self._sectors < 65536 and not self.wide else 0
        head = struct.pack(
            "<3s8sHBHBHHBHHHII",
            b"\xeb\x58\x90" if self.wide else b"\xeb\x3c\x90",
            b"mkfs.fat",
            SECTOR,
            self._per_cluster,
            self._reserved,
            _FATS,
            0 if self.wide else _ROOT_ENTRIES,
            small,
            0xF8,
            0 if self.wide else self._fat_sectors,
            32,
            8,
            0,
            0 if small else self._sectors,
        )
        if self.wide:
            head += struct.pack("<IHHIHH12x", self._fat_sectors, 0, 0, 2, 1, 6)
        kind = b"FAT32   " if self.wide else b"FAT16   "
        head += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, self._serial, self._label, kind)
        return head.ljust(510, b"\0") + b"\x55\xaa"

    def _information(self) -> bytes:
        free = self._count - (self._next - 2)
        return struct.pack(
            "<4s480s4sII12sI", b"RRaA", b"", b"rrAa", free, self._next, b"", 0xAA550000
        )


def _tree(files: Mapping[str, bytes]) -> _Directory:
    root = _Directory()
    for path in sorted(files):
        here = root
        *parents, name = path.strip("/").split("/")
        for part in parents:
            below = here.entries.setdefault(part, _Directory())
            assert isinstance(below, _Directory)
            here = below
        here.entries[name] = files[path]
    return root


def _is_short(name: str) -> bool:
    base, dot, extension = name.partition(".")
    return (
        0 < len(base) <= 8
        and (not dot or 0 < len(extension) <= 3)
        and all(ord(c) in _SHORT for c in base + extension)
    )


def _short(name: str, taken: set[bytes]) -> bytes:
    """The 8.3 name: itself, or NAME~1 and so on."""
    base, _, extension = name.upper().rpartition(".")
    if not base:
        base, extension = extension, ""
    clean = [bytes(ord(c) for c in text if ord(c) in _SHORT) for text in (base, extension)]
    found = clean[0][:8].ljust(8) + clean[1][:3].ljust(3)
    number = 0
    while found in taken or (number == 0 and not _is_short(name)):
        number += 1
        tail = f"~{number}".encode()
        found = (clean[0][: 8 - len(tail)] + tail).ljust(8) + clean[1][:3].ljust(3)
    taken.add(found)
    return found


def _long(name: str, short: bytes) -> list[bytes]:
    """The slots that carry a long name, last part first."""
    checksum = 0
    for byte in short:
        checksum = ((checksum & 1) << 7) + (checksum >> 1) + byte & 0xFF
    units = name.encode("utf-16-le")
    count = -(-len(units) // 26)
    if len(units) % 26:
        units = (units + b"\0\0").ljust(count * 26, b"\xff")
    slots = []
    for place in range(count, 0, -1):
        part = units[(place - 1) * 26 : place * 26]
        order = place | (0x40 if place == count else 0)
        slots.append(
            struct.pack(
                "<B10sBBB12sH4s", order, part[:10], _LONG, 0, checksum, part[10:22], 0, part[22:]
            )
        )
    return slots


def _date(stamp: int) -> tuple[int, int]:
    """A time of UTC as FAT's date and time; it knows none before 1980."""
    when = time.gmtime(max(stamp, 315532800))
    day = min(when.tm_year - 1980, 127) << 9 | when.tm_mon << 5 | when.tm_mday
    return day, when.tm_hour << 11 | when.tm_min << 5 | when.tm_sec // 2


def _too_small(size: int) -> UsageError:
    return UsageError(
        f"an EFI system partition of {size} bytes is too small for what goes there",
        reason="disk-too-small",
    )
