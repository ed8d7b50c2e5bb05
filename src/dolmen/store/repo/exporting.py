"""Commits as tar archives: a function of the commit, on any machine and at any time.

The format is POSIX's pax (pax(1), "ustar Interchange Format"), written here: Python's tarfile takes
three times as long, and its bytes for the same member differ from one version to the next.
"""

from __future__ import annotations

import os

from dolmen.store.repo import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

    from dolmen.store.repo.tree import Entry, Tree

#: A name's end -> how it is compressed.
COMPRESSIONS = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
_BLOCK, _RECORD = 512, 10240
_ZEROS = bytes(_BLOCK)
#: Written at once; larger files go from file to file within the kernel.
_BUFFER = 1 << 20
_LARGE = 1 << 17
_FILE, _HARD_LINK, _LINK, _DIRECTORY, _EXTENDED = b"0", b"1", b"2", b"5", b"x"


def export(
    tree: Tree,
    stream: IO[bytes],
    *,
    subpath: str = "/",
    prefix: str = "",
    xattrs: bool = True,
    compression: str | None = None,
) -> int:
    """Write a tree as tar (`compression`: None, "gzip", "zstd"); how many names went into it.

    Names are sorted, times are the commit's, owners are numbers, and contents that come again are
    hard links: the same commit gives the same bytes. Raises StoreError ("no-path",
    "object-missing"), HostError ("program-missing").
    """
    start = tree.find(subpath)
    if compression is None:
        return _write(_Archive(tree, stream.write, stream, xattrs), start, prefix)
    from dolmen.store.repo.compressing import compressed

    with compressed(stream, compression) as inner:
        return _write(_Archive(tree, inner.write, None, xattrs), start, prefix)


def _write(archive: _Archive, start: Entry, prefix: str) -> int:
    strip = len(start.path.rstrip("/")) if start.is_directory else start.path.rfind("/")
    count = 0
    for entry in archive.tree.walk(start):
        if entry is start and start.is_directory:
            name = prefix.rstrip("/") or "."
        else:
            name = prefix + entry.path[strip:].lstrip("/")
        archive.add(entry, name)
        count += 1
    archive.close()
    return count


class _Archive:
    """A tar that is being written; `file` where bytes may go past `write` into its descriptor."""

    def __init__(
        self,
        tree: Tree,
        write: Callable[[bytes], Any],
        file: IO[bytes] | None,
        xattrs: bool,
    ) -> None:
        self.tree = tree
        self._repository = tree.repository
        self._out = write
        self._file = file if file is not None and hasattr(file, "fileno") else None
        self._descriptor = self._number()
        self._xattrs = xattrs
        self._seen: dict[str, str] = {}
        self._heads: dict[tuple[int, int, int, bytes], tuple[bytes, int]] = {}
        self._pieces: list[bytes] = []
        self._waiting = self._size = 0
        self._time = tree.commit.timestamp

    def _number(self) -> int:
        if self._file is None or self._repository.archive:
            return -1
        try:
            return self._file.fileno()
        except OSError:  # io.UnsupportedOperation: in memory
            return -1

    def add(self, entry: Entry, name: str) -> None:
        """Write one name."""
        kind, link, size = _FILE, "", entry.size
        if entry.is_directory:
            kind, name = _DIRECTORY, f"{name.rstrip('/')}/"
        elif entry.target is not None:
            kind, link = _LINK, entry.target
        elif size and entry.checksum in self._seen:
            kind, link, size = _HARD_LINK, self._seen[entry.checksum], 0
        self._put(self._header(entry, kind, name, link, size))
        if kind == _FILE:
            self._seen[entry.checksum] = name
            self._content(entry)

    def close(self) -> None:
        """Write the end."""
        self._put(_ZEROS * 2)
        self._put(bytes(-self._size % _RECORD))
        self._flush()

    def _put(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        self._waiting += len(data)
        if self._waiting >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._out(b"".join(self._pieces))
        self._pieces.clear()
        self._waiting = 0

    def _content(self, entry: Entry) -> None:
        size = entry.size
        if size >= _LARGE and self._descriptor >= 0 and self._within_kernel(entry):
            pass
        else:
            written = 0
            for piece in self.tree.read(entry):
                self._put(piece)
                written += len(piece)
            if written != size:
                raise _changed(entry)
        self._put(bytes(-size % _BLOCK))

    def _within_kernel(self, entry: Entry) -> bool:
        """Copy without reading, as far as the two files allow it; False: nothing was written."""
        place = self._repository.place(entry.checksum, "file")
        try:
            fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False  # a parent repository has it
        try:
            self._flush()
            assert self._file is not None
            self._file.flush()
            left = entry.size
            while left:
                try:
                    sent = os.sendfile(self._descriptor, fd, None, left)
                except OSError:
                    if left == entry.size:
                        return False
                    raise
                if not sent:
                    raise _changed(entry)
                left -= sent
        finally:
            os.close(fd)
        self._size += entry.size
        return True

    def _header(self, entry: Entry, kind: bytes, name: str, link: str, size: int) -> bytes:
        extended: list[tuple[str, bytes]] = []
        if self._xattrs and (xattrs := entry.serialised):
            extended += [(f"SCHILY.xattr.{key}", value) for key, value in contents.pairs(xattrs)]
        raw, target = os.fsencode(name), os.fsencode(link)
        if len(raw) > 100 or not name.isascii():
            extended.append(("path", raw))
            raw = _ascii(name)
        if len(target) > 100 or not link.isascii():
            extended.append(("linkpath", target))
            target = _ascii(link)
        if size >= 1 << 33:
            extended.append(("size", b"%d" % size))
            size = 0
        head, total, more = self._owner(entry, kind)
        extended += more
        field = b"%011o\0" % size
        total += sum(raw[:100]) + sum(target[:100]) + sum(field)
        middle = b"%06o\0 " % total + kind
        block = (
            raw[:100].ljust(100, b"\0")
            + head[:24]
            + field
            + head[24:36]
            + middle
            + target[:100].ljust(100, b"\0")
            + _TAIL
        )
        return _extension(extended) + block if extended else block

    def _owner(self, entry: Entry, kind: bytes) -> tuple[bytes, int, list[tuple[str, bytes]]]:
        """Mode, owner, group and time of a header, the sum of all that is not name or size."""
        key = (entry.mode, entry.uid, entry.gid, kind)
        found = self._heads.get(key)
        more: list[tuple[str, bytes]] = []
        uid, gid, stamp = entry.uid, entry.gid, self._time
        for name, value, limit in (("uid", uid, 21), ("gid", gid, 21), ("mtime", stamp, 33)):
            if value >= 1 << limit:
                more.append((name, b"%d" % value))
        if found is None:
            fields = (
                uid if uid < 1 << 21 else 0,
                gid if gid < 1 << 21 else 0,
                stamp if stamp < 1 << 33 else 0,
            )
            head = b"%07o\0%07o\0%07o\0%011o\0" % (entry.mode & 0o7777, *fields)
            # The sum counts its own field as eight spaces.
            found = self._heads[key] = head, sum(head) + 8 * 32 + sum(kind) + sum(_TAIL)
        return *found, more


#: After the link's name: magic and version; no names of owners, no device, no prefix, padding.
_TAIL = b"ustar\x0000" + bytes(64 + 16 + 155 + 12)


def _extension(records: list[tuple[str, bytes]]) -> bytes:
    """A pax header of its own, with these records."""
    data = b""
    for key, value in records:
        body = b" " + os.fsencode(key) + b"=" + value + b"\n"
        size = len(body) + 1
        while len(str(size)) + len(body) != size:
            size = len(str(size)) + len(body)
        data += b"%d" % size + body
    fields = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (0, 0, 0, len(data), 0)
    name = b"././@PaxHeader"
    total = sum(name) + sum(fields) + 8 * 32 + sum(_EXTENDED) + sum(_TAIL)
    head = name.ljust(100, b"\0") + fields + b"%06o\0 " % total + _EXTENDED + bytes(100) + _TAIL
    return head + data + bytes(-len(data) % _BLOCK)


def _ascii(name: str) -> bytes:
    """What readers that know no pax headers see."""
    return name.encode("ascii", "replace")[:100]


def _changed(entry: Entry) -> Exception:
    from dolmen.store.repo.repository import damaged

    return damaged(entry.checksum, "file")
