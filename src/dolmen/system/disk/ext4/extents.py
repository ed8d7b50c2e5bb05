"""A file's runs of blocks as ext4 notes them: four in the inode, more in blocks of their own."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from dolmen.system.disk.ext4.geometry import BLOCK
from dolmen.system.disk.ext4.space import Run, Space

_MAGIC = 0xF30A
_HEADER = struct.Struct("<HHHHI")
_EXTENT = struct.Struct("<IHHI")
_INDEX = struct.Struct("<IIHH")
INLINE = 4
#: What fits into a block beside its header; its checksum follows.
PER_BLOCK = (BLOCK - 12) // 12


def leaves(runs: int) -> int:
    """How many blocks the tree of so many runs needs outside the inode."""
    return 0 if runs <= INLINE else -(-runs // PER_BLOCK)


def lay(space: Space, count: int) -> tuple[list[Run], list[int]]:
    """Blocks for a file of `count` blocks, and before them those of its tree, if it needs any."""
    places: list[int] = []
    # Taking a block for the tree moves the file, which may cut it differently.
    while len(places) < leaves(space.pieces(count)):
        places.append(space.one())
    return space.take(count), places


def encode(runs: Sequence[Run], blocks: Sequence[int] = ()) -> tuple[bytes, list[bytes]]:
    """The inode's 60 bytes and the content of the leaf `blocks`, checksums still zero."""
    items = []
    logical = 0
    for start, length in runs:
        items.append((logical, _EXTENT.pack(logical, length, start >> 32, start & 0xFFFFFFFF)))
        logical += length
    if len(items) > INLINE and not 0 < len(blocks) <= INLINE:
        raise ValueError("more extents than the tree has room for")
    if len(items) <= INLINE:
        head = _HEADER.pack(_MAGIC, len(items), INLINE, 0, 0)
        return (head + b"".join(item for _, item in items)).ljust(60, b"\0"), []
    root = [_HEADER.pack(_MAGIC, len(blocks), INLINE, 1, 0)]
    content = []
    for place, block in enumerate(blocks):
        part = items[place * PER_BLOCK : (place + 1) * PER_BLOCK]
        root.append(_INDEX.pack(part[0][0], block & 0xFFFFFFFF, block >> 32, 0))
        head = _HEADER.pack(_MAGIC, len(part), PER_BLOCK, 0, 0)
        content.append((head + b"".join(item for _, item in part)).ljust(BLOCK, b"\0"))
    return b"".join(root).ljust(60, b"\0"), content
