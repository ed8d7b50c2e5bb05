"""Directories as lists of names in blocks, each with a checksum in its tail."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator

from dolmen.system.disk.ext4.geometry import BLOCK
from dolmen.system.disk.nodes import Node

#: The tail that looks like an unused entry (`ext4_dir_entry_tail`): 12 bytes, the last 4 the sum.
TAIL = 12
_ROOM = BLOCK - TAIL
_TAIL = struct.pack("<IHBBI", 0, TAIL, 0, 0xDE, 0)
_HEAD = struct.Struct("<IHBB")
_TYPES = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFLNK: 7}


def encode(node: Node, parent: int) -> bytes:
    """A numbered directory's blocks, checksums still zero; its entries must be numbered, too."""
    out: list[bytes] = []
    used = 0
    held: tuple[int, int, bytes] | None = None
    pack = _HEAD.pack
    for number, kind, name in _entries(node, parent):
        length = (11 + len(name)) & ~3
        if used + length > _ROOM:
            # The entry before takes what is left of the block.
            assert held is not None
            out += [_entry(*held, _ROOM - used + _size(held)), _TAIL]
            used = 0
        elif held is not None:
            size = _size(held)
            out += [pack(held[0], size, len(held[2]), held[1]), held[2].ljust(size - 8, b"\0")]
        held = (number, kind, name)
        used += length
    assert held is not None
    out += [_entry(*held, _ROOM - used + _size(held)), _TAIL]
    return b"".join(out)


def empty_block() -> bytes:
    """A block of a directory that holds nothing, as lost+found has them."""
    return _entry(0, 0, b"", _ROOM) + _TAIL


def blocks(node: Node) -> int:
    """How many blocks the directory needs."""
    used, count = 24, 1
    for name in sorted(node.entries):
        length = (11 + len(name)) & ~3
        if used + length > _ROOM:
            used, count = 0, count + 1
        used += length
    return count


def _entries(node: Node, parent: int) -> Iterator[tuple[int, int, bytes]]:
    yield node.number, 2, b"."
    yield parent, 2, b".."
    for name in sorted(node.entries):
        entry = node.entries[name]
        yield entry.number, _TYPES[stat.S_IFMT(entry.mode)], name


def _size(held: tuple[int, int, bytes]) -> int:
    return (11 + len(held[2])) & ~3


def _entry(number: int, kind: int, name: bytes, length: int) -> bytes:
    head = _HEAD.pack(number, length, len(name), kind)
    return head + name.ljust(length - 8, b"\0")
