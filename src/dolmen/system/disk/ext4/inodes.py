"""Inodes, packed."""

from __future__ import annotations

import struct

from dolmen.system.disk.ext4.geometry import INODE

EXTENTS = 0x80000
_BASE = struct.Struct("<HHIIIIIHHIII60sIIIIHHHHHHHHIIIIIII")
_MASK = 0xFFFFFFFF


def encode(
    *,
    mode: int,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    time: int = 0,
    links: int = 1,
    sectors: int = 0,
    flags: int = 0,
    block: bytes = b"",
    attributes: bytes = b"",
    attribute_block: int = 0,
) -> bytes:
    """One inode of 256 bytes, checksum still zero; all four of its times are `time`."""
    stamp = time & _MASK
    # Seconds count from a signed 32-bit number plus two more bits (inode_extra of the format).
    signed = stamp - (1 << 32) if stamp >> 31 else stamp
    epoch = (time - signed) >> 32 & 3
    return (
        _BASE.pack(
            mode,
            uid & 0xFFFF,
            size & _MASK,
            stamp,
            stamp,
            stamp,
            0,
            gid & 0xFFFF,
            links,
            sectors & _MASK,
            flags,
            0,
            block,
            0,
            attribute_block & _MASK,
            size >> 32,
            0,
            sectors >> 32,
            attribute_block >> 32,
            uid >> 16,
            gid >> 16,
            0,
            0,
            32,
            0,
            epoch,
            epoch,
            epoch,
            stamp,
            epoch,
            0,
            0,
        )
        + attributes
    ).ljust(INODE, b"\0")


def seal(table: bytearray, sums: list[int]) -> None:
    """Put every inode's checksum into a table of them; an inode that is all zero stays so."""
    for place, value in enumerate(sums):
        at = place * INODE
        if table[at : at + 2] == b"\0\0":
            continue
        table[at + 124 : at + 126] = (value & 0xFFFF).to_bytes(2, "little")
        table[at + 130 : at + 132] = (value >> 16).to_bytes(2, "little")
