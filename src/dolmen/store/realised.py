"""A realised tree beside the commit that it was made from: every path of both."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from dolmen.store.examining import disk_mode
from dolmen.store.objects import decode_dirmeta, full_header
from dolmen.store.reading import Reading
from dolmen.store.usage import ObjectName
from dolmen.support.errors import StoreError

_PIECE = 1 << 20


def check_tree(
    reading: Reading, commit: str, tree: Path, bad: Mapping[ObjectName, str], *, quick: bool
) -> Iterator[tuple[str, str]]:
    """Paths with what is wrong: missing, extra, kind, mode, owner, content, target.

    What a file shares with an object (its inode) was examined there, and is not told again.
    `quick`: files that are no links to their objects are not read.
    """
    root = reading.commit(commit)
    if root is not None:
        yield from _Comparison(reading, bad, quick).directory(
            root.tree, root.meta, os.fspath(tree), ""
        )


class _Comparison:
    def __init__(self, reading: Reading, bad: Mapping[ObjectName, str], quick: bool) -> None:
        self.reading = reading
        self.objects = reading.objects
        self.bad = bad
        self.quick = quick

    def directory(self, tree: str, meta: str, path: str, shown: str) -> Iterator[tuple[str, str]]:
        try:
            status = os.lstat(path)
            there = set(os.listdir(path)) if stat.S_ISDIR(status.st_mode) else None
        except FileNotFoundError:
            yield shown or "/", "missing"
            return
        except OSError as error:
            yield shown or "/", f"unreadable: {error.strerror}"
            return
        if there is None:
            yield shown or "/", "kind"
            return
        if (meta, "dirmeta") not in self.bad:
            try:
                wanted = decode_dirmeta(self.objects.read(meta, "dirmeta"))
                if stat.S_IMODE(status.st_mode) != wanted:
                    yield shown or "/", "mode"
            except (StoreError, OSError):
                pass
        if status.st_uid != os.geteuid():
            yield shown or "/", "owner"
        content = self.reading.tree(tree)
        if content is None:
            return  # a damaged directory does not say what it held
        for name in sorted(there - {*content.files, *content.dirs}):
            yield f"{shown}/{name}", "extra"
        for name, checksum in sorted(content.files.items()):
            what = self.file(checksum, f"{path}/{name}") if name in there else "missing"
            if what:
                yield f"{shown}/{name}", what
        for name, (child, child_meta) in sorted(content.dirs.items()):
            if name in there:
                yield from self.directory(child, child_meta, f"{path}/{name}", f"{shown}/{name}")
            else:
                yield f"{shown}/{name}", "missing"

    def file(self, checksum: str, path: str) -> str:
        try:
            return self._file(checksum, path)
        except StoreError:
            return ""  # without its object nothing can be said
        except OSError as error:
            return f"unreadable: {error.strerror}"

    def _file(self, checksum: str, path: str) -> str:
        if (checksum, "file") in self.bad:
            return ""
        status = os.lstat(path)
        try:
            object_status = os.stat(self.objects.path(checksum, "file"))
        except FileNotFoundError:
            return ""
        if (status.st_dev, status.st_ino) == (object_status.st_dev, object_status.st_ino):
            return ""
        mode = self.objects.mode(checksum)
        if stat.S_ISLNK(mode):
            if not stat.S_ISLNK(status.st_mode):
                return "kind"
            same = os.fsencode(os.readlink(path)) == self.objects.read_link(checksum)
            return "" if same else "target"
        if not stat.S_ISREG(status.st_mode):
            return "kind"
        if status.st_size != object_status.st_size:
            return "content"
        if stat.S_IMODE(status.st_mode) != disk_mode(mode):
            return "mode"
        # A copy, as where the object has as many links as the file system can hold.
        if self.quick:
            return "" if status.st_mtime_ns == 0 else "content"
        hashed = hashlib.sha256(full_header(self.objects.attributes(checksum)))
        with open(path, "rb") as stream:
            while piece := stream.read(_PIECE):
                hashed.update(piece)
        return "" if hashed.hexdigest() == checksum else "content"
