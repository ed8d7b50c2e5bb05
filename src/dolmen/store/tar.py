"""A strict tar reader for hostile input.

Python's `tarfile` takes a damaged header for the end of the archive and its filters have been
escaped (CVE-2025-4517); here every block is accounted for, and nothing is ever written by name.
Formats: v7, ustar, GNU long names, pax (path, linkpath, size, uname, gname, SCHILY.xattr.*).
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from dolmen.store.deb import bad

_BLOCK = 512
_ZERO = bytes(_BLOCK)
#: Longest path, link target or extended header accepted, bytes (PATH_MAX; 64 KiB as in Linux).
MAX_PATH = 4095
_MAX_NAME = 255
#: Trees are handled by recursion; the deepest path of Debian has 25 parts.
MAX_DEPTH = 200
_MAX_EXTENSION = 1024 * 1024
_MAX_XATTR = 64 * 1024

_KINDS = {
    b"\0": "f", b"0": "f", b"7": "f",
    b"1": "h", b"2": "l", b"3": "c", b"4": "b", b"5": "d", b"6": "p",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One member. `path` is relative and clean, "" for the root; so is a hard link's `target`.

    Kinds: f, d, l (symbolic link), h (hard link), c and b (devices), p (fifo).
    """

    path: str
    kind: str
    mode: int
    size: int = 0
    target: str = ""
    uname: str = ""
    gname: str = ""
    uid: int = 0
    gid: int = 0
    xattrs: tuple[tuple[str, str], ...] = field(default=())


class TarReader:
    """Iterate over entries; after each regular file call `content` or let it be skipped.

    `limit`: bytes of tar after which the archive counts as a decompression bomb.
    Raises PackageError: "truncated", "bad-tar", "unsafe-path", "too-large".
    """

    def __init__(self, pieces: Iterator[bytes], *, limit: int) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._position = 0
        self._read = 0
        self._limit = limit
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        extended: dict[str, bytes] = {}
        common: dict[str, bytes] = {}
        while True:
            for _ in self.content():
                pass
            header = self._take(_BLOCK)
            if header == _ZERO:
                self._drain()
                return
            _check_sum(header)
            kind = header[156:157]
            size = _number(header[124:136])
            if kind in (b"L", b"K", b"x", b"g"):
                if size > _MAX_EXTENSION:
                    raise bad("an extended header is too large", "bad-tar")
                data = self._take(size + -size % _BLOCK)[:size]
                if kind in (b"L", b"K"):
                    extended["path" if kind == b"L" else "linkpath"] = data.partition(b"\0")[0]
                else:
                    (extended if kind == b"x" else common).update(_pax(data))
                continue
            entry = _entry(header, _KINDS.get(kind), size, common | extended)
            extended = {}
            if entry.kind == "f":
                self._left = entry.size
                self._padding = -entry.size % _BLOCK
            yield entry

    @property
    def offset(self) -> int:
        """Bytes of the tar that were read: of the file just met, where its content begins."""
        return self._read - len(self._buffer) + self._position

    def content(self) -> Iterator[bytes]:
        """The content of the regular file just met, in pieces; what is left unread is skipped."""
        while self._left:
            piece = self._some(self._left)
            self._left -= len(piece)
            yield piece
        if self._padding:
            self._take(self._padding)
            self._padding = 0

    def whole(self) -> bytes:
        """The content of the regular file just met, at once."""
        return b"".join(self.content())

    def _fill(self) -> bool:
        piece = next(self._pieces, b"")
        self._read += len(piece)
        if self._read > self._limit:
            raise bad(
                f"it unpacks to more than {self._limit // (1 << 20)} MiB, against its own word",
                "too-large",
            )
        self._buffer, self._position = piece, 0
        return bool(piece)

    def _some(self, most: int) -> bytes:
        if self._position >= len(self._buffer) and not self._fill():
            raise bad("its tar archive ends in the middle", "truncated")
        piece = self._buffer[self._position : self._position + most]
        self._position += len(piece)
        return piece

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end <= len(self._buffer):
            piece = self._buffer[self._position : end]
            self._position = end
            return piece
        parts = []
        while size:
            parts.append(self._some(size))
            size -= len(parts[-1])
        return b"".join(parts)

    def _drain(self) -> None:
        while self._fill():
            pass


def _entry(header: bytes, kind: str | None, size: int, extended: dict[str, bytes]) -> TarEntry:
    if kind is None:
        raise bad(f"it has a tar member of unknown type {header[156:157]!r}", "bad-tar")
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500])):
        name = prefix + b"/" + name
    name = extended.get("path", name)
    target = extended.get("linkpath", _text(header[157:257]))
    if "size" in extended:
        size = _decimal(extended["size"])
    path = clean_path(name, directory=kind == "d")
    if kind == "h":
        link = clean_path(target, directory=False)
    elif kind == "l":
        link = _link_target(target)
    else:
        link = ""
    if kind != "f" and size:
        # dpkg and GNU tar disagree on whether data follows; nobody honest writes that.
        if kind != "h":
            raise bad(f"{path!r} is no regular file but has content", "bad-tar")
        size = 0
    return TarEntry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(_number(header[100:108])),
        size=size,
        target=link,
        uname=_owner(extended.get("uname", _text(header[265:297]))),
        gname=_owner(extended.get("gname", _text(header[297:329]))),
        uid=_number(header[108:116]),
        gid=_number(header[116:124]),
        xattrs=_xattrs(extended),
    )


def clean_path(name: bytes, *, directory: bool) -> str:
    """A member's name as a relative path, "" for the root; raises PackageError ("unsafe-path")."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise bad(f"the name {name[:80]!r} is not UTF-8", "unsafe-path") from None
    if not text or len(name) > MAX_PATH:
        raise bad(f"the name {text[:80]!r} is empty or too long", "unsafe-path")
    if "\n" in text or "\0" in text:
        # dpkg's file lists have one name a line.
        raise bad(f"the name {text[:80]!r} has a newline", "unsafe-path")
    path = "" if text == "." else text.removeprefix("./")
    if directory:
        path = path.removesuffix("/")
    if path == "":
        if not directory:
            raise bad("the root is not a directory", "unsafe-path")
        return path
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        raise bad(f"the name {text[:80]!r} is too deep", "unsafe-path")
    for part in parts:
        if part in ("", ".", ".."):
            raise bad(f"the name {text[:80]!r} leaves the package", "unsafe-path")
        if len(part) * 4 > _MAX_NAME and len(part.encode()) > _MAX_NAME:
            raise bad(f"the name {text[:80]!r} is too long", "unsafe-path")
    return path


def _link_target(target: bytes) -> str:
    try:
        text = target.decode()
    except UnicodeDecodeError:
        raise bad(f"the link target {target[:80]!r} is not UTF-8", "unsafe-path") from None
    if not text or len(target) > MAX_PATH or "\0" in text:
        raise bad("a link target is empty or too long", "unsafe-path")
    return text


def _check_sum(header: bytes) -> None:
    wanted = _number(header[148:156])
    if sum(header) - sum(header[148:156]) + 8 * 32 != wanted:
        raise bad("a tar header is damaged", "bad-tar")


def _number(data: bytes) -> int:
    if data[0] & 0x80:  # base-256, a GNU extension
        value = int.from_bytes(bytes([data[0] & 0x7F]) + data[1:], "big")
        if data[0] == 0xFF or value >= 1 << 63:
            raise bad("a number in a tar header is negative or too large", "bad-tar")
        return value
    text = data.partition(b"\0")[0].strip(b" ")
    if text and not text.isdigit():
        raise bad("a tar header is damaged", "bad-tar")
    try:
        return int(text or b"0", 8)
    except ValueError:
        raise bad("a tar header is damaged", "bad-tar") from None


def _decimal(data: bytes) -> int:
    if not data.isdigit() or len(data) > 18:
        raise bad("a pax header is damaged", "bad-tar")
    return int(data)


def _text(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _owner(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _pax(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        digits, space, _ = data[position : position + 20].partition(b" ")
        length = _decimal(digits) if space else 0
        record = data[position + len(digits) + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if length < len(digits) + 3 or not equals or not record.endswith(b"\n"):
            raise bad("a pax header is damaged", "bad-tar")
        name = key.decode("utf-8", "replace")
        if name.startswith("GNU.sparse."):
            raise bad("it has sparse tar members", "bad-tar")
        found[name] = value[:-1]
        position += length
    return found


def _xattrs(extended: dict[str, bytes]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for key, value in extended.items():
        if key.startswith("SCHILY.xattr."):
            if len(value) > _MAX_XATTR:
                raise bad("an extended attribute is too large", "bad-tar")
            found.append((key.removeprefix("SCHILY.xattr."), value.hex()))
    return tuple(sorted(found))
