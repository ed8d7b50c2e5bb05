"""Writing a planned file system, front to back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Protocol

from dolmen.system.disk.ext4.crc32c import crc32c_many
from dolmen.system.disk.ext4.geometry import BLOCK, INODE, Geometry, shape
from dolmen.system.disk.ext4.plan import Plan, Written
from dolmen.system.disk.ext4.superblock import Group, Identity, descriptor, superblock
from dolmen.system.disk.nodes import Node

#: How much is handed to the medium at once.
_FLUSH = 4 << 20


class Medium(Protocol):
    """What a file system is written to; offsets are bytes from its own start."""

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write the pieces one behind the other."""
        ...

    def zero(self, offset: int, length: int) -> None:
        """See to it that this reads as zeros."""
        ...


class FileSystem:
    """One ext4 file system, planned when made, written by `write`.

    `size` in bytes; `first` and `written` as `Plan` has them. Raises UsageError
    ("disk-too-small") and HostError ("xattr-too-large", "xattr-unknown") before anything is
    written; `write` raises what reading contents raises.
    """

    def __init__(
        self,
        root: Node,
        size: int,
        identity: Identity,
        *,
        journal: int,
        geometry: Geometry | None = None,
        reserved_percent: int = 5,
        first: Sequence[Node] = (),
        written: Written = MappingProxyType({}),
    ) -> None:
        from dolmen.system.disk.nodes import walk

        if geometry is None:
            geometry = shape(size, sum(1 for _ in walk(root)) + 1)
        self.geometry = geometry
        self.identity = identity
        self.plan = Plan(root, geometry, identity, journal // BLOCK, first=first, written=written)
        self._reserved = geometry.blocks * reserved_percent // 100
        self._seed = identity.seed

    @property
    def used(self) -> int:
        """Bytes from its start to the end of what is in use, contiguous but for fixed parts."""
        return self.plan.space.cursor * BLOCK

    def write(self, medium: Medium) -> None:
        """Write it all. Nothing is synced."""
        self._write_fixed(medium)
        for offset, piece in self._placed():
            if isinstance(piece, int):
                medium.zero(offset, piece)
            else:
                medium.write(offset, piece)

    def _write_fixed(self, medium: Medium) -> None:
        geometry, plan = self.geometry, self.plan
        blocks = [plan.space.bitmap(group) for group in range(geometry.groups)]
        groups, block_maps, inode_maps = self._groups(blocks)
        table = b"".join(
            descriptor(geometry, number, group, self._seed) for number, group in enumerate(groups)
        ).ljust(geometry.descriptor_blocks * BLOCK, b"\0")
        for number in geometry.backups():
            block = superblock(
                geometry,
                self.identity,
                group=number,
                free_blocks=sum(group.free_blocks for group in groups),
                free_inodes=sum(group.free_inodes for group in groups),
                reserved=self._reserved,
                journal=plan.journal,
            )
            head = (bytes(1024) + block if number == 0 else block).ljust(BLOCK, b"\0")
            offset = geometry.start(number) * BLOCK
            if number == 0:
                medium.write(offset, [head, table, *plan.reserved.values()])
            else:
                medium.write(offset, [head, table])
                offset += len(head) + len(table)
                medium.zero(offset, geometry.reserved_descriptor_blocks * BLOCK)
        per_table = geometry.table_blocks * BLOCK
        for first in range(0, geometry.groups, geometry.flex):
            members = range(first, min(first + geometry.flex, geometry.groups))
            offset = geometry.bitmaps(first)[0] * BLOCK
            maps = [block_maps[number] for number in members]
            maps += [inode_maps[number] for number in members]
            used = bytes(plan.table[first * per_table : members.stop * per_table])
            used = used.ljust(-(-len(used) // BLOCK) * BLOCK, b"\0")
            medium.write(offset, [*maps, used])
            offset += len(maps) * BLOCK + len(used)
            medium.zero(offset, len(members) * per_table - len(used))

    def _groups(self, blocks: list[int]) -> tuple[list[Group], list[bytes], list[bytes]]:
        """The groups' numbers, and their two bitmaps."""
        geometry, plan = self.geometry, self.plan
        per_group = geometry.inodes_per_group
        block_maps = [_padded(bits, geometry.length(number)) for number, bits in enumerate(blocks)]
        used = [
            min(max(plan.used_inodes - number * per_group, 0), per_group)
            for number in range(geometry.groups)
        ]
        inode_maps = [_padded((1 << count) - 1, per_group) for count in used]
        block_sums = crc32c_many(
            self._seed, b"".join(block_maps), geometry.blocks_per_group // 8, BLOCK
        )
        inode_sums = crc32c_many(self._seed, b"".join(inode_maps), per_group // 8, BLOCK)
        groups = [
            Group(
                free_blocks=geometry.length(number) - bits.bit_count(),
                free_inodes=per_group - used[number],
                directories=plan.directories_in[number],
                unused_inodes=per_group - used[number],
                block_sum=block_sums[number],
                inode_sum=inode_sums[number],
            )
            for number, bits in enumerate(blocks)
        ]
        return groups, block_maps, inode_maps

    def _placed(self) -> Iterator[tuple[int, list[bytes] | int]]:
        """What fills the space, each with its offset: pieces to write, or bytes to be zero."""
        runs = iter(self.plan.space.runs)
        start, length = next(runs)
        offset, left = start * BLOCK, length * BLOCK
        held: list[bytes] = []
        size = 0
        for data in self._stream():
            rest = data if isinstance(data, int) else len(data)
            position = 0
            if isinstance(data, int) and held:
                yield offset - size, held
                held, size = [], 0
            while rest:
                if not left:
                    if held:
                        yield offset - size, held
                        held, size = [], 0
                    start, length = next(runs)
                    offset, left = start * BLOCK, length * BLOCK
                part = min(rest, left)
                if isinstance(data, int):
                    yield offset, part
                else:
                    whole = part == len(data)
                    held.append(data if whole else data[position : position + part])
                    size += part
                offset += part
                left -= part
                position += part
                rest -= part
                if size >= _FLUSH:
                    yield offset - size, held
                    held, size = [], 0
        if held:
            yield offset - size, held

    def _stream(self) -> Iterator[bytes | int]:
        """The pieces' bytes, each padded to whole blocks; a number is so many zero bytes."""
        padding = bytes(BLOCK)
        for piece in self.plan.pieces:
            if isinstance(piece, bytes):
                yield piece
            elif isinstance(piece, int):
                yield piece * BLOCK
            else:
                yield from piece.chunks()
                odd = -piece.size % BLOCK
                if odd:
                    yield padding[:odd]


def _padded(bits: int, length: int) -> bytes:
    """A bitmap of one block: what is behind its end counts as used."""
    bits |= (1 << BLOCK * 8) - (1 << length)
    return bits.to_bytes(BLOCK, "little")


def estimate(root: Node, *, journal: int) -> int:
    """Bytes that a file system of this tree needs at least, without a group's fixed parts.

    Files and directories by whole blocks, inodes at one for 16 KiB or as many as there are.
    """
    from dolmen.system.disk.ext4 import directories
    from dolmen.system.disk.nodes import walk

    total, count = journal + 16 * BLOCK, 0
    for node in walk(root):
        count += 1
        if node.is_directory:
            total += directories.blocks(node) * BLOCK
        elif not node.is_link or node.size >= 60:
            total += -(-node.size // BLOCK) * BLOCK
        if node.xattrs and sum(20 + len(n) + len(v) for n, v in node.xattrs) > 88:
            total += BLOCK
    return total + count * INODE
