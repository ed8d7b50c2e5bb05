"""Handing out blocks: front to back, so that what is used is known from one number."""

from __future__ import annotations

from dolmen.system.disk.ext4.geometry import Geometry, too_small

#: A run of blocks: first block, number of blocks.
Run = tuple[int, int]

#: The longest extent that may hold data (`EXT_INIT_MAX_LEN`).
LONGEST = 32768


class Space:
    """The blocks that are nobody's yet, in ascending order."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self.fixed = geometry.fixed()
        self.runs = list(_between(self.fixed, geometry.blocks))
        self._index = 0
        self.cursor = self.runs[0][0] if self.runs else geometry.blocks

    def take(self, count: int) -> list[Run]:
        """The next `count` blocks, as runs no longer than an extent.

        Raises UsageError ("disk-too-small").
        """
        found: list[Run] = []
        while count:
            if self._index == len(self.runs):
                size = self._geometry.blocks * 4096
                raise too_small(f"what is to be written does not fit into {size} bytes")
            start, length = self.runs[self._index]
            left = start + length - self.cursor
            if not left:
                self._index += 1
                if self._index < len(self.runs):
                    self.cursor = self.runs[self._index][0]
                continue
            part = min(left, count, LONGEST)
            found.append((self.cursor, part))
            self.cursor += part
            count -= part
        return found

    def one(self) -> int:
        """The next block."""
        return self.take(1)[0][0]

    def pieces(self, count: int) -> int:
        """How many runs the next `count` blocks would come in."""
        index, cursor, found = self._index, self.cursor, 0
        while count and index < len(self.runs):
            start, length = self.runs[index]
            part = min(max(start, cursor) - start, length)
            part = min(length - part, count)
            found += -(-part // LONGEST)
            count -= part
            index += 1
        return found

    def bitmap(self, group: int) -> int:
        """A group's used blocks as bits; those behind the file system's end count as used."""
        geometry = self._geometry
        start, length = geometry.start(group), geometry.length(group)
        bits = (1 << max(0, min(self.cursor - start, length))) - 1
        for first, count in self.fixed:
            low = max(first, start)
            high = min(first + count, start + length)
            if low < high:
                bits |= (1 << high - low) - 1 << low - start
        return bits


def _between(fixed: list[Run], end: int) -> list[Run]:
    found = []
    position = 0
    for start, length in fixed:
        if start > position:
            found.append((position, start - position))
        position = start + length
    if position < end:
        found.append((position, end - position))
    return found
