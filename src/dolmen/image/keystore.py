"""Java's JKS key stores carry the time each certificate was added; this sets it to a constant.

Format (JDK, sun.security.provider.JavaKeyStore): magic FEEDFEED, version 2, count; per trusted
certificate the tag 2, an alias (UTF with 2-byte length), 8 bytes of milliseconds, a type, a
length and the certificate; last a SHA-1 over password (UTF-16BE), "Mighty Aphrodite" and the rest.
"""

from __future__ import annotations

import hashlib
import struct

_MAGIC = 0xFEEDFEED
_TRUSTED = 2
#: The password that ca-certificates-java gives /etc/ssl/certs/java/cacerts.
_PASSWORD = "changeit"


def with_constant_dates(data: bytes, epoch: int) -> bytes:
    """The same key store with every date set to `epoch` (seconds); other formats stay as they are.

    Entries are sorted by alias, as their order depends on a hash table.
    """
    try:
        return _rewrite(data, epoch)
    except (struct.error, ValueError):
        return data


def _rewrite(data: bytes, epoch: int) -> bytes:
    magic, version, count = struct.unpack_from(">III", data)
    if magic != _MAGIC or version != 2:
        return data
    if hashlib.sha1(_salt() + data[:-20]).digest() != data[-20:]:
        return data
    position = 12
    entries: list[bytes] = []
    for _ in range(count):
        (tag,) = struct.unpack_from(">I", data, position)
        if tag != _TRUSTED:
            return data
        start = position
        position = _skip(data, position + 4)
        dated = position
        position = _skip(data, position + 8)
        (length,) = struct.unpack_from(">I", data, position)
        position += 4 + length
        entries.append(
            data[start:dated] + struct.pack(">q", epoch * 1000) + data[dated + 8 : position]
        )
    if position != len(data) - 20:
        return data
    body = data[:12] + b"".join(sorted(entries))
    return body + hashlib.sha1(_salt() + body).digest()


def _skip(data: bytes, position: int) -> int:
    (length,) = struct.unpack_from(">H", data, position)
    return int(position + 2 + length)


def _salt() -> bytes:
    return _PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite"
