"""The container of a .deb (deb(5)): an ar archive of `debian-binary`, `control.tar*`, `data.tar*`.

Read as a stream, hashed on the way and decompressed in this process: no children, so nothing can
hang or be left behind (dpkg-deb before 1.21.23 spins for ever on a 4-byte zstd member,
CVE-2026-2219), and xz decoding runs beside Python's other threads.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol

from dolmen.support.errors import PackageError

_MAGIC = b"!<arch>\n"
_READ = 256 * 1024
#: How much is decompressed at once, bytes.
PIECE = 1024 * 1024
#: What one xz decoder may use (level -9 needs 65 MiB), bytes.
_XZ_MEMORY = 128 * 1024 * 1024


def bad(message: str, reason: str = "bad-package") -> PackageError:
    """A fault of a .deb; who imports it adds which one."""
    return PackageError(message, reason=reason)


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Container:
    """Walks over the members of one .deb in their order."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def tarballs(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """("control", pieces of the tar), then ("data", pieces); each must be read to its end.

        Raises PackageError: "bad-archive", "truncated", "unknown-compression".
        """
        if self._read(len(_MAGIC), exact=False) != _MAGIC:
            raise bad("it is not an ar archive", "bad-archive")
        name, size = self._header()
        if name != "debian-binary":
            raise bad("it does not start with a debian-binary member", "bad-archive")
        if size > 64 or not self._member(size).startswith(b"2."):
            raise bad("its format version is not 2.x", "bad-archive")
        for wanted in ("control", "data"):
            name, size = self._header()
            while name.startswith("_"):
                self._skip(size)
                name, size = self._header()
            base, tar, compression = name.partition(".tar")
            if base != wanted or not tar:
                raise bad(
                    f"it has a member {name[:16]!r} where {wanted}.tar should be", "bad-archive"
                )
            yield wanted, self._unpacked(compression.removeprefix("."), size)
        # dpkg ignores what follows data.tar; it is read for the digest only.
        while self._read(_READ, exact=False):
            pass

    def digest(self) -> str:
        """SHA-256 of everything read; of the whole file once `tarballs` is exhausted."""
        return self._hash.hexdigest()

    def _read(self, size: int, *, exact: bool = True) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        self.size += len(data)
        if exact and len(data) != size:
            raise bad("it ends in the middle", "truncated")
        return data

    def _header(self) -> tuple[str, int]:
        header = self._read(60)
        if header[58:60] != b"`\n":
            raise bad("an ar header is damaged", "bad-archive")
        try:
            name = header[:16].decode("ascii").rstrip(" ").removesuffix("/")
            digits = header[48:58].decode("ascii").rstrip(" ")
        except UnicodeDecodeError:
            raise bad("an ar header is damaged", "bad-archive") from None
        if not digits.isdecimal() or not name:
            raise bad("an ar header is damaged", "bad-archive")
        return name, int(digits)

    def _member(self, size: int) -> bytes:
        data = self._read(size)
        self._pad(size)
        return data

    def _skip(self, size: int) -> None:
        for _ in self._raw(size):
            pass

    def _pad(self, size: int) -> None:
        if size % 2:
            self._read(1, exact=False)

    def _raw(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            piece = self._read(min(left, _READ), exact=False)
            if not piece:
                raise bad("it ends in the middle", "truncated")
            left -= len(piece)
            yield piece
        self._pad(size)

    def _unpacked(self, compression: str, size: int) -> Iterator[bytes]:
        pieces = self._raw(size)
        if compression == "":
            yield from pieces
            return
        make = _DECODERS.get(compression)
        if make is None:
            raise bad(f"compression {compression[:16]!r} is unknown", "unknown-compression")
        decoder = make()
        while not decoder.eof:
            data = b""
            if decoder.needs_input:
                data = next(pieces, b"")
                if not data:
                    raise bad(f"its {compression} stream is cut short", "truncated")
            try:
                piece = decoder.decompress(data, PIECE)
            except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
                raise bad(f"its {compression} stream is damaged: {error}", "truncated") from None
            if piece:
                yield piece
        for _ in pieces:  # what follows the stream's end is no part of the tar
            pass


class _Gzip:
    """zlib's decoder in the manner of lzma's and bz2's."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


def _zstandard() -> _Decoder:
    from dolmen.store.zstandard import Decoder

    return Decoder()


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gz": _Gzip,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY),
    "bz2": bz2.BZ2Decompressor,
    "zst": _zstandard,
}


def decoder(compression: str) -> _Decoder:
    """A decoder of one member, by the end of a .deb's member's name ("gz", "xz", "zst", …)."""
    return _DECODERS[compression]()
