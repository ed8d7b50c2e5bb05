"""Extended attributes as ext4 keeps them: inside the inode, or in a block of their own."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from dolmen.support.errors import HostError
from dolmen.system.disk.ext4.crc32c import crc32c
from dolmen.system.disk.ext4.geometry import BLOCK, INODE

_MAGIC = 0xEA020000
_HEADER = 32
#: What is left in the inode after its 160 bytes of fields and the magic number.
_INSIDE = INODE - 160 - 4
_ACLS = {"system.posix_acl_access": 2, "system.posix_acl_default": 3}
_PREFIXES = (("user.", 1), ("trusted.", 4), ("security.", 6), ("system.", 7))
#: ACL entries that name somebody (ACL_USER, ACL_GROUP); the others have no number on disk.
_NAMED = (0x02, 0x08)

#: (name index, name without its prefix, value)
Entry = tuple[int, bytes, bytes]


def encode(xattrs: Sequence[tuple[str, bytes]]) -> tuple[bytes, bytes]:
    """The attributes as (part of the inode, block): one of the two is empty.

    The block still lacks its checksum (`seal`). Raises HostError ("xattr-too-large",
    "xattr-unknown").
    """
    if not xattrs:
        return b"", b""
    entries = sorted((_entry(*pair) for pair in xattrs), key=lambda e: (e[0], len(e[1]), e[1]))
    names = sum(_padded(16 + len(name)) for _, name, _ in entries) + 4
    values = sum(_padded(len(value)) for _, _, value in entries)
    if names + values <= _INSIDE:
        return struct.pack("<I", _MAGIC) + _area(entries, _INSIDE, 0, hashed=False), b""
    if _HEADER + names + values > BLOCK:
        raise HostError(
            f"extended attributes of {values} bytes do not fit into a block of ext4",
            reason="xattr-too-large",
        )
    area = _area(entries, BLOCK - _HEADER, _HEADER, hashed=True)
    total = 0
    for entry in entries:
        total = (total << 16 & 0xFFFFFFFF) ^ total >> 16 ^ _hash(entry)
    return b"", struct.pack("<IIIII12x", _MAGIC, 1, 1, total, 0) + area


def seal(block: bytes, number: int, seed: int) -> bytes:
    """An attribute block with the checksum that goes with its place."""
    register = crc32c(crc32c(seed, number.to_bytes(8, "little")), block)
    return block[:16] + register.to_bytes(4, "little") + block[20:]


def _entry(name: str, value: bytes) -> Entry:
    if name in _ACLS:
        return _ACLS[name], b"", _acl(value)
    for prefix, index in _PREFIXES:
        if name.startswith(prefix):
            return index, name[len(prefix) :].encode(errors="surrogateescape"), value
    raise HostError(f"ext4 cannot keep the attribute {name}", reason="xattr-unknown")


def _acl(value: bytes) -> bytes:
    """From the system call's form (version 2, a number in every entry) to the disk's (1)."""
    out = [struct.pack("<I", 1)]
    for tag, rights, number in struct.iter_unpack("<HHI", value[4:]):
        out.append(struct.pack("<HH", tag, rights))
        if tag in _NAMED:
            out.append(struct.pack("<I", number))
    return b"".join(out)


def _area(entries: Sequence[Entry], size: int, base: int, *, hashed: bool) -> bytes:
    """Entries from the front, values from the back; value offsets count from `base` before it."""
    area = bytearray(size)
    position, end = 0, size
    for entry in entries:
        index, name, value = entry
        end -= _padded(len(value))
        struct.pack_into(
            "<BBHIII",
            area,
            position,
            len(name),
            index,
            base + end if value else 0,
            0,
            len(value),
            _hash(entry) if hashed else 0,
        )
        area[position + 16 : position + 16 + len(name)] = name
        area[end : end + len(value)] = value
        position += _padded(16 + len(name))
    return bytes(area)


def _hash(entry: Entry) -> int:
    """`ext4_xattr_hash_entry` of fs/ext4/xattr.c."""
    _, name, value = entry
    found = 0
    for byte in name:
        found = (found << 5 & 0xFFFFFFFF) ^ found >> 27 ^ byte
    padded = value.ljust(_padded(len(value)), b"\0")
    for (word,) in struct.iter_unpack("<I", padded):
        found = (found << 16 & 0xFFFFFFFF) ^ found >> 16 ^ word
    return found


def _padded(size: int) -> int:
    return (size + 3) & ~3
