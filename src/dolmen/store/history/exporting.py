"""Commits as tar archives: a function of the commit, on any machine and at any time."""

from __future__ import annotations

import contextlib
import gzip
import io
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from typing import IO, cast

from dolmen.store.history.repository import told
from dolmen.store.history.tree import Entry, Tree
from dolmen.support.errors import HostError
from dolmen.support.run import spawn

#: A name's end -> how it is compressed.
COMPRESSIONS = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
_ZSTD_SECONDS = 3600


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
    with told(), _compressed(stream, compression) as inner:
        archive = tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        seen: dict[str, str] = {}
        count = 0
        strip = len(start.path.rstrip("/")) if start.is_directory else start.path.rfind("/")
        for entry in tree.walk(start):
            name = prefix + entry.path[strip:].lstrip("/") if entry.path[strip:] else prefix or "."
            if entry is start and start.is_directory:
                name = prefix.rstrip("/") or "."
            _add(archive, tree, entry, name, seen, xattrs)
            count += 1
        archive.close()
    return count


def _add(
    archive: tarfile.TarFile,
    tree: Tree,
    entry: Entry,
    name: str,
    seen: dict[str, str],
    xattrs: bool,
) -> None:
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(entry.mode)
    member.uid, member.gid = entry.uid, entry.gid
    member.mtime = tree.commit.timestamp
    if xattrs:
        member.pax_headers = {
            f"SCHILY.xattr.{key}": value.decode(errors="surrogateescape")
            for key, value in entry.xattrs
        }
    if entry.is_directory:
        member.type = tarfile.DIRTYPE
    elif entry.target is not None:
        member.type, member.linkname = tarfile.SYMTYPE, entry.target
    elif entry.size and entry.checksum in seen:
        member.type, member.linkname = tarfile.LNKTYPE, seen[entry.checksum]
    else:
        member.size = entry.size
        seen[entry.checksum] = name
        archive.addfile(member, cast("IO[bytes]", _Pieces(tree.read(entry))))
        return
    archive.addfile(member)


class _Pieces(io.RawIOBase):
    """Pieces of content, read as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        size = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


@contextlib.contextmanager
def _compressed(stream: IO[bytes], compression: str | None) -> Iterator[IO[bytes]]:
    if compression == "gzip":
        # Neither a name nor a time in the header.
        with gzip.GzipFile("", "wb", 6, fileobj=stream, mtime=0) as inner:
            yield cast("IO[bytes]", inner)
    elif compression == "zstd":
        stream.flush()
        # One thread: what several write differs from what one writes.
        argv = ["zstd", "-q", "-c", "-T1"]
        with spawn(argv, stdin=subprocess.PIPE, stdout=stream) as child:
            assert child.stdin is not None
            yield child.stdin
            child.stdin.close()
            if child.wait(timeout=_ZSTD_SECONDS):
                raise HostError(
                    "zstd failed", reason="program-failed", hint="dolmen store export -o X.tar.gz"
                )
    else:
        yield stream
