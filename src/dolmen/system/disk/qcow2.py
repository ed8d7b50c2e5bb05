"""QEMU's qcow2, version 3 (docs/interop/qcow2.rst): only what was written takes room."""

from __future__ import annotations

import os
import struct

from dolmen.system.disk.media import write_all

_BITS = 16
CLUSTER = 1 << _BITS
#: "This cluster is used once", in the two upper tables.
_COPIED = 1 << 63
_PER_TABLE = CLUSTER // 8
_PER_REFCOUNTS = CLUSTER // 2
_HEADER = 112


class Qcow2:
    """A fresh qcow2 image of a disk of `size` bytes; `finish` makes it readable.

    Clusters come in the order in which they are first written to, so equal writes give equal
    files.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self.written = 0
        clusters = -(-size // CLUSTER)
        self._l1 = [0] * -(-clusters // _PER_TABLE)
        self._tables: dict[int, list[int]] = {}
        self._l1_clusters = max(1, -(-len(self._l1) * 8 // CLUSTER))
        self._next = 1 + self._l1_clusters

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write the pieces one behind the other."""
        data = memoryview(b"".join(pieces))
        position = 0
        run, run_start, run_end = 0, 0, -1
        while position < len(data):
            inside = (offset + position) % CLUSTER
            part = min(CLUSTER - inside, len(data) - position)
            place = self._cluster((offset + position) // CLUSTER) + inside
            if place != run_end:
                if position > run_start:
                    write_all(self._fd, run, [data[run_start:position].tobytes()])
                run, run_start = place, position
            run_end = place + part
            position += part
        if position > run_start:
            write_all(self._fd, run, [data[run_start:position].tobytes()])
        self.written += len(data)

    def zero(self, offset: int, length: int) -> None:
        """Nothing: a cluster that is not there reads as zeros."""

    def finish(self) -> None:
        """Write the tables, the reference counts and, last, the header."""
        for index, table in sorted(self._tables.items()):
            place = self._l1[index] & ~_COPIED
            write_all(self._fd, place, [struct.pack(f">{_PER_TABLE}Q", *table)])
        l1 = struct.pack(f">{len(self._l1)}Q", *self._l1)
        write_all(self._fd, CLUSTER, [l1.ljust(self._l1_clusters * CLUSTER, b"\0")])
        blocks, tables = self._refcount_sizes()
        first = self._next
        total = first + blocks + tables
        counts = struct.pack(">H", 1) * total
        write_all(self._fd, first * CLUSTER, [counts.ljust(blocks * CLUSTER, b"\0")])
        table = [(first + number) * CLUSTER for number in range(blocks)]
        packed = struct.pack(f">{blocks}Q", *table).ljust(tables * CLUSTER, b"\0")
        write_all(self._fd, (first + blocks) * CLUSTER, [packed])
        header = struct.pack(
            ">4sIQIIQIIQQIIQQQQII",
            b"QFI\xfb",
            3,
            0,
            0,
            _BITS,
            self._size,
            0,
            len(self._l1),
            CLUSTER,
            (first + blocks) * CLUSTER,
            tables,
            0,
            0,
            0,
            0,
            0,
            4,
            _HEADER,
        )
        write_all(self._fd, 0, [header.ljust(CLUSTER, b"\0")])
        os.ftruncate(self._fd, total * CLUSTER)

    def _refcount_sizes(self) -> tuple[int, int]:
        """Clusters of reference counts and of the table of those, which count themselves, too."""
        blocks, tables = 1, 1
        while True:
            total = self._next + blocks + tables
            wanted = -(-total // _PER_REFCOUNTS)
            wanted_tables = -(-wanted // _PER_TABLE)
            if (wanted, wanted_tables) == (blocks, tables):
                return blocks, tables
            blocks, tables = max(blocks, wanted), max(tables, wanted_tables)

    def _cluster(self, number: int) -> int:
        """Where a cluster of the disk lies in the file; made when it is not there."""
        index, slot = divmod(number, _PER_TABLE)
        table = self._tables.get(index)
        if table is None:
            table = self._tables[index] = [0] * _PER_TABLE
            self._l1[index] = self._take() | _COPIED
        if not table[slot]:
            table[slot] = self._take() | _COPIED
        return table[slot] & ~_COPIED

    def _take(self) -> int:
        place = self._next * CLUSTER
        self._next += 1
        return place
