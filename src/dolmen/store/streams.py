"""Streams of bytes as they lie in files, unpacked by what they begin with."""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import IO

from dolmen.store.deb import PIECE, bad, decoder

_READ = 1 << 18
#: First bytes -> the decoder's name.
_MAGIC = (
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bz2"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    # A frame that decoders pass over, with which zstd files may begin.
    *((bytes([0x50 + number, 0x2A, 0x4D, 0x18]), "zst") for number in range(16)),
)
_TAR_MAGIC = 262


def pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """A file in pieces."""
    while piece := stream.read(_READ):
        yield piece


def compression(head: bytes) -> str | None:
    """How something is compressed that begins so: "gz", "xz", "bz2", "zst" or None."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def is_tar(head: bytes) -> bool:
    """Whether a tar may begin so (`head`: its first block)."""
    return head[257:_TAR_MAGIC] == b"ustar"


def unpacked(source: Iterator[bytes], kind: str | None = None) -> Iterator[bytes]:
    """What a stream unpacks to, all of its members after each other; `kind` None: as it begins.

    Raises PackageError ("truncated", "unknown-compression"), HostError ("program-missing").
    """
    first = next(source, b"")
    while len(first) < 8 and (more := next(source, b"")):
        first += more
    kind = kind or compression(first)
    whole = chain([first], source)
    if kind is None:
        yield from whole
        return
    here = None
    for piece in whole:
        data = piece
        while True:
            if here is None:
                if not data.strip(b"\0"):  # padding, as gzip(1) takes it
                    break
                here = decoder(kind)
            try:
                out = here.decompress(data, PIECE)
            except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
                raise bad(f"its {kind} stream is damaged: {error}", "truncated") from None
            data = b""
            if out:
                yield out
            if here.eof:
                data, here = here.unused_data, None
            elif here.needs_input:
                break
    if here is not None:
        raise bad(f"its {kind} stream is cut short", "truncated")


class Hashed:
    """Hands pieces on, and knows the SHA-256 and the size of what went through."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._source:
            self._hash.update(piece)
            self.size += len(piece)
            yield piece

    @property
    def digest(self) -> str:
        """Of all that went through so far."""
        return self._hash.hexdigest()
