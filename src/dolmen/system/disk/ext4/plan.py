"""Laying a tree out: inode numbers, blocks and everything that is not a file's own content."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dolmen.system.disk.ext4 import attributes, directories, extents, inodes
from dolmen.system.disk.ext4.crc32c import crc32c_many
from dolmen.system.disk.ext4.geometry import BLOCK, FIRST_INODE, INODE, Geometry
from dolmen.system.disk.ext4.space import Run, Space
from dolmen.system.disk.ext4.superblock import Identity, journal_superblock
from dolmen.system.disk.nodes import Node, directory, walk

_ROOT, _RESIZE, _JOURNAL = 2, 7, 8
_LOST_AND_FOUND = b"lost+found"
_LOST_BLOCKS = 4
#: Symbolic links shorter than this live in the inode.
_FAST_LINK = 60
#: `EXT4_LINK_MAX`; a directory with more says 1 (dir_nlink).
MOST_LINKS = 65000

#: What fills the space, in its order: bytes (whole blocks), a file, or so many empty blocks.
Piece = bytes | Node | int
#: Object -> the runs that its content is in.
Written = Mapping[str, tuple[Run, ...]]


@dataclass(slots=True)
class _Record:
    """What an inode says about where its content is."""

    block: bytes = b""
    sectors: int = 0
    flags: int = 0
    size: int = 0
    attributes: bytes = b""
    attribute_block: int = 0


class Plan:
    """A laid out file system: the inode table and the pieces that fill the space behind it.

    `first`: files whose contents come before everything else, so that where they lie depends on
    nothing but them. `written`: objects whose contents are on the medium already; those that are
    where they belong are `kept`, and their pieces are empty.
    """

    def __init__(
        self,
        root: Node,
        geometry: Geometry,
        identity: Identity,
        journal_blocks: int,
        *,
        first: Sequence[Node] = (),
        written: Written = MappingProxyType({}),
    ) -> None:
        self.geometry = geometry
        self.space = Space(geometry)
        self.pieces: list[Piece] = []
        #: Blocks of the primary table of reserved descriptors, by number.
        self.reserved: dict[int, bytes] = {}
        self._identity = identity
        self._nodes = number(root)
        self.used_inodes = FIRST_INODE - 1 + len(self._nodes) - 1
        self._records = [_Record() for _ in self._nodes]
        # Sums need the number of every inode (generation 0): their registers are shared.
        marks = b"".join(struct.pack("<II", inode, 0) for inode in range(1, self.used_inodes + 1))
        self._seeds = crc32c_many(identity.seed, marks, 8)
        self.kept: set[str] = set()
        self._first(first, written)
        self._reserve()
        self._directories(root)
        self._attributes()
        self._links()
        self._journal(journal_blocks)
        self._files(first)
        self.table = self._inode_table()
        self.directories_in = self._count_directories()

    def _seed(self, inode: int) -> int:
        return self._seeds[inode - 1]

    def _reserve(self) -> None:
        """The inode that owns the blocks kept for more group descriptors (resize_inode)."""
        geometry = self.geometry
        count = geometry.reserved_descriptor_blocks
        backups = geometry.backups()[1:]
        first = 1 + geometry.descriptor_blocks
        place = self.space.one()
        index = bytearray(BLOCK)
        per_block = BLOCK // 4
        for offset in range(count):
            block = first + offset
            at = (geometry.descriptor_blocks + offset) % per_block
            struct.pack_into("<I", index, at * 4, block)
            copies = [block + geometry.start(group) for group in backups]
            self.reserved[block] = struct.pack(f"<{len(copies)}I", *copies).ljust(BLOCK, b"\0")
        self.pieces.append(bytes(index))
        self._resize = inodes.encode(
            mode=stat.S_IFREG | 0o600,
            size=(per_block * per_block + per_block + 12) * BLOCK,
            time=self._identity.time,
            sectors=(1 + count * (1 + len(backups))) * (BLOCK // 512),
            block=bytes(52) + place.to_bytes(4, "little") + bytes(4),
        )

    def _directories(self, root: Node) -> None:
        parents = {id(root): _ROOT}
        contents: list[bytes] = []
        seeds: list[int] = []
        for node, record in zip(self._nodes, self._records, strict=True):
            if not node.is_directory:
                continue
            for child in node.entries.values():
                if child.is_directory:
                    parents[id(child)] = node.number
            content = directories.encode(node, parents[id(node)])
            if node.number == FIRST_INODE:
                content += directories.empty_block() * (_LOST_BLOCKS - 1)
            count = len(content) // BLOCK
            self._extents(record, count)
            record.size = len(content)
            contents.append(content)
            seeds += [self._seed(node.number)] * count
        blocks = bytearray(b"".join(contents))
        room = BLOCK - directories.TAIL
        for place, value in enumerate(crc32c_many(seeds, blocks, room, BLOCK), 1):
            blocks[place * BLOCK - 4 : place * BLOCK] = value.to_bytes(4, "little")
        self.pieces.append(bytes(blocks))

    def _extents(self, record: _Record, count: int) -> None:
        """Give an inode `count` blocks whose content is the caller's to append."""
        runs = self.space.take(count)
        # A directory has no tree of extents: four runs reach over hundreds of megabytes.
        record.block, _ = extents.encode(runs)
        record.sectors += count * (BLOCK // 512)
        record.flags |= inodes.EXTENTS

    def _attributes(self) -> None:
        cache: dict[tuple[tuple[str, bytes], ...], tuple[bytes, bytes]] = {}
        for node, record in zip(self._nodes, self._records, strict=True):
            if not node.xattrs:
                continue
            found = cache.get(node.xattrs)
            if found is None:
                found = cache[node.xattrs] = attributes.encode(node.xattrs)
            record.attributes, block = found
            if block:
                place = record.attribute_block = self.space.one()
                record.sectors += BLOCK // 512
                self.pieces.append(attributes.seal(block, place, self._identity.seed))

    def _links(self) -> None:
        for node, record in zip(self._nodes, self._records, strict=True):
            if not node.is_link:
                continue
            target = b"".join(node.chunks())
            record.size = len(target)
            if len(target) < _FAST_LINK:
                record.block = target
                continue
            self._extents(record, 1)
            self.pieces.append(target.ljust(BLOCK, b"\0"))

    def _journal(self, count: int) -> None:
        runs = self.space.take(count)
        block, _ = extents.encode(runs)
        self.pieces += [journal_superblock(count), count - 1]
        size = count * BLOCK
        self._journal_inode = inodes.encode(
            mode=stat.S_IFREG | 0o600,
            size=size,
            time=self._identity.time,
            sectors=size // 512,
            flags=inodes.EXTENTS,
            block=block,
        )
        #: i_block and the size (high, low), kept in the superblock.
        self.journal = block + struct.pack("<II", size >> 32, size & 0xFFFFFFFF)

    def _first(self, first: Sequence[Node], written: Written) -> None:
        """The files that come before everything else; what is there already stays as it is."""
        records = {
            id(node): record for node, record in zip(self._nodes, self._records, strict=True)
        }
        for node in first:
            runs = self._file(node, records[id(node)])
            if runs and written.get(node.object) == runs:
                self.kept.add(node.object)
                self.pieces[-1] = sum(length for _, length in runs)

    def _files(self, first: Sequence[Node]) -> None:
        laid = set(map(id, first))
        for node, record in zip(self._nodes, self._records, strict=True):
            if stat.S_ISREG(node.mode) and id(node) not in laid:
                self._file(node, record)

    def _file(self, node: Node, record: _Record) -> tuple[Run, ...]:
        """Lay out one file's content, and say where; its piece is the last one then."""
        record.size = node.size
        record.flags |= inodes.EXTENTS
        count = -(-node.size // BLOCK)
        if not count:
            record.block = extents.encode(())[0]
            return ()
        runs, leaves = extents.lay(self.space, count)
        record.block, contents = extents.encode(runs, leaves)
        for content in contents:
            (value,) = crc32c_many([self._seed(node.number)], content, BLOCK - 4, BLOCK)
            self.pieces.append(content[:-4] + value.to_bytes(4, "little"))
        self.pieces.append(node)
        record.sectors += (count + len(leaves)) * (BLOCK // 512)
        return tuple(runs)

    def _inode_table(self) -> bytearray:
        """The used part of the table, in the order of numbers, with checksums."""
        table = [bytes(INODE)] * self.used_inodes
        table[_RESIZE - 1] = self._resize
        table[_JOURNAL - 1] = self._journal_inode
        encode: Callable[..., bytes] = inodes.encode
        for node, record in zip(self._nodes, self._records, strict=True):
            links = node.links
            if node.is_directory and links > MOST_LINKS:
                links = 1
            table[node.number - 1] = encode(
                mode=node.mode,
                uid=node.uid,
                gid=node.gid,
                size=record.size,
                time=node.mtime,
                links=links,
                sectors=record.sectors,
                flags=record.flags | node.flags,
                block=record.block,
                attributes=record.attributes,
                attribute_block=record.attribute_block,
            )
        packed = bytearray(b"".join(table))
        inodes.seal(packed, crc32c_many(self._seeds, packed, INODE))
        return packed

    def _count_directories(self) -> list[int]:
        counts = [0] * self.geometry.groups
        for node in self._nodes:
            if node.is_directory:
                counts[(node.number - 1) // self.geometry.inodes_per_group] += 1
        return counts


def number(root: Node) -> list[Node]:
    """Give every node its inode number and its count of links; returns them in that order."""
    lost = root.entries.get(_LOST_AND_FOUND)
    if lost is None:
        lost = root.entries[_LOST_AND_FOUND] = directory(0o700, mtime=root.mtime)
    nodes = [root, lost, *(node for node in walk(root) if node is not root and node is not lost)]
    for place, node in enumerate(nodes):
        node.number = _ROOT if place == 0 else FIRST_INODE - 1 + place
        node.links = 2 if node.is_directory else 0
    for node in nodes:
        for child in node.entries.values():
            if child.is_directory:
                node.links += 1
            else:
                child.links += 1
    return nodes
