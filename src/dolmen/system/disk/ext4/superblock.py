"""The superblock and the group descriptors."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dolmen.system.disk.ext4.crc32c import crc32c
from dolmen.system.disk.ext4.geometry import BLOCK, DESCRIPTOR, FIRST_INODE, INODE, Geometry

#: has_journal, ext_attr, resize_inode, dir_index.
_COMPATIBLE = 0x4 | 0x8 | 0x10 | 0x20
#: filetype, extent, 64bit, flex_bg.
_INCOMPATIBLE = 0x2 | 0x40 | 0x80 | 0x200
#: sparse_super, large_file, huge_file, dir_nlink, extra_isize, metadata_csum.
_READ_ONLY = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x400
#: The inode table is zero where it is unused: the kernel need not clear it after mounting.
_ZEROED = 0x4

_DESCRIPTOR = struct.Struct("<IIIHHHHIHHHHIIIHHHHIHHI")


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one file system from another: 16 bytes each, a label, seconds since 1970."""

    uuid: bytes
    hash_seed: bytes
    label: str = ""
    time: int = 0

    @property
    def seed(self) -> int:
        """Where the checksums of its metadata start."""
        return crc32c(0xFFFFFFFF, self.uuid)


@dataclass(frozen=True, slots=True)
class Group:
    """One group's numbers."""

    free_blocks: int
    free_inodes: int
    directories: int
    unused_inodes: int
    block_sum: int
    inode_sum: int


def descriptor(geometry: Geometry, number: int, group: Group, seed: int) -> bytes:
    """One group's descriptor with its checksum."""
    block_bitmap, inode_bitmap, table = geometry.bitmaps(number)

    def pack(checksum: int) -> bytes:
        return _DESCRIPTOR.pack(
            block_bitmap & 0xFFFFFFFF,
            inode_bitmap & 0xFFFFFFFF,
            table & 0xFFFFFFFF,
            group.free_blocks & 0xFFFF,
            group.free_inodes & 0xFFFF,
            group.directories & 0xFFFF,
            _ZEROED,
            0,
            group.block_sum & 0xFFFF,
            group.inode_sum & 0xFFFF,
            group.unused_inodes & 0xFFFF,
            checksum,
            block_bitmap >> 32,
            inode_bitmap >> 32,
            table >> 32,
            group.free_blocks >> 16,
            group.free_inodes >> 16,
            group.directories >> 16,
            group.unused_inodes >> 16,
            0,
            group.block_sum >> 16,
            group.inode_sum >> 16,
            0,
        )

    register = crc32c(seed, number.to_bytes(4, "little"))
    return pack(crc32c(register, pack(0)) & 0xFFFF)


def superblock(
    geometry: Geometry,
    identity: Identity,
    *,
    group: int,
    free_blocks: int,
    free_inodes: int,
    reserved: int,
    journal: bytes,
) -> bytes:
    """The 1024 bytes of the superblock, or of its copy in `group`.

    `journal`: the 68 bytes about the journal's inode that are kept here for its recovery.
    """
    data = bytearray(1024)

    def put(offset: int, kind: str, *values: int) -> None:
        struct.pack_into(f"<{kind}", data, offset, *values)

    low, high = 0xFFFFFFFF, 32
    put(0x00, "I", geometry.inodes)
    put(0x04, "III", geometry.blocks & low, reserved & low, free_blocks & low)
    put(0x10, "II", free_inodes, 0)
    put(0x18, "II", 2, 2)  # 1024 << 2: blocks, and clusters, of 4096
    put(
        0x20, "III", geometry.blocks_per_group, geometry.blocks_per_group, geometry.inodes_per_group
    )
    put(0x2C, "II", 0, identity.time & low)
    put(0x34, "HHHHHH", 0, 0xFFFF, 0xEF53, 1, 1, 0)  # never checked for its age; clean; go on
    put(0x40, "IIII", identity.time & low, 0, 0, 1)
    put(0x50, "HHIHH", 0, 0, FIRST_INODE, INODE, group)
    put(0x5C, "III", _COMPATIBLE, _INCOMPATIBLE, _READ_ONLY)
    data[0x68:0x78] = identity.uuid
    label = identity.label.encode()[:16]
    data[0x78 : 0x78 + len(label)] = label
    put(0xCE, "H", geometry.reserved_descriptor_blocks)
    put(0xE0, "I", 8)  # the journal's inode
    data[0xEC:0xFC] = identity.hash_seed
    put(0xFC, "BBH", 1, 1, DESCRIPTOR)  # half MD4 for directories that get an index; journal copied
    put(0x100, "I", 0xC)  # user_xattr, acl
    put(0x108, "I", identity.time & low)
    data[0x10C : 0x10C + 68] = journal
    put(0x150, "III", geometry.blocks >> high, reserved >> high, free_blocks >> high)
    put(0x15C, "HH", 32, 32)
    put(0x160, "I", 1)  # signed characters in directory hashes, on every architecture
    put(0x174, "BB", geometry.flex.bit_length() - 1, 1)  # crc32c
    put(0x3FC, "I", crc32c(0xFFFFFFFF, bytes(data[:0x3FC])))
    return bytes(data)


def journal_superblock(blocks: int) -> bytes:
    """The first block of an empty journal (jbd2, version 2; big-endian)."""
    head = struct.pack(">IIIIIIII", 0xC03B3998, 4, 0, BLOCK, blocks, 1, 1, 0)
    return (head + bytes(0x40 - len(head)) + struct.pack(">I", 1)).ljust(BLOCK, b"\0")
