"""Committed trees, walked object by object."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gi.repository import Gio, OSTree

from dolmen.store.history.repository import History, failure, told
from dolmen.store.history.revisions import load
from dolmen.store.objects import decode_dirtree
from dolmen.support.errors import StoreError

_READ = 1 << 20
_LINKS = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a tree; `mode` has its type bits, `checksum` is the object's.

    Of a directory, `checksum` is its dirtree's and `meta` its dirmeta's.
    """

    path: str
    mode: int
    uid: int
    gid: int
    size: int
    checksum: str
    meta: str | None = None
    target: str | None = None
    xattrs: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    @property
    def is_directory(self) -> bool:
        """Whether it is one."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def identity(self) -> str:
        """What differs when two entries of one name differ, a directory's names left out."""
        return self.meta or self.checksum


class Tree:
    """The tree of one commit."""

    def __init__(self, history: History, checksum: str) -> None:
        self.history = history
        self.commit = load(history, checksum)
        self._metas: dict[str, tuple[int, int, int, tuple[tuple[str, bytes], ...]]] = {}
        self.root = self._directory("/", self.commit.tree, self.commit.meta)

    def find(self, path: str) -> Entry:
        """The entry at a path; links are not followed.

        Raises StoreError ("no-path", "not-a-directory", "object-missing").
        """
        here = self.root
        for part in (part for part in path.split("/") if part not in ("", ".")):
            if not here.is_directory:
                raise failure(f"Not a directory: {here.path}")
            listed = self._names(here)
            below = f"{here.path.rstrip('/')}/{part}"
            if part in listed.dirs:
                here = self._directory(below, *listed.dirs[part])
            elif part in listed.files:
                here = self._file(below, listed.files[part])
            else:
                raise StoreError(
                    f"No such file or directory: {below}",
                    reason="no-path",
                    hint="dolmen store ls -R COMMIT",
                )
        return here

    def follow(self, path: str) -> Entry:
        """The regular file at a path; links are followed within the tree.

        Raises StoreError ("no-path", "not-a-directory", "not-a-file").
        """
        left = [part for part in path.split("/") if part]
        here: list[str] = []
        links = 0
        while left:
            part = left.pop(0)
            if part == "..":
                here = here[:-1]
                continue
            here.append(part)
            found = self.find("/".join(here))
            if found.target is not None and links < _LINKS:
                links += 1
                here = [] if found.target.startswith("/") else here[:-1]
                left = [name for name in found.target.split("/") if name not in ("", ".")] + left
        entry = self.find("/".join(here))
        if not entry.is_file:
            what = "Can't open directory" if entry.is_directory else "Too many links"
            raise StoreError(
                f"{what}: {path}", reason="not-a-file", hint=f"dolmen store ls COMMIT {path}"
            )
        return entry

    def children(self, entry: Entry) -> Iterator[Entry]:
        """What is in a directory: files, then directories, each by name, as `ostree ls` does."""
        listed = self._names(entry)
        base = entry.path.rstrip("/")
        for name, checksum in listed.files.items():
            yield self._file(f"{base}/{name}", checksum)
        for name, (checksum, meta) in listed.dirs.items():
            yield self._directory(f"{base}/{name}", checksum, meta)

    def walk(self, entry: Entry) -> Iterator[Entry]:
        """The entry and all below it."""
        yield entry
        if entry.is_directory:
            for child in self.children(entry):
                yield from self.walk(child)

    def read(self, entry: Entry) -> Iterator[bytes]:
        """A regular file's content in pieces."""
        with told():
            stream = self.history.repo.load_file(entry.checksum, None)[1]
            while piece := stream.read_bytes(_READ, None).get_data():
                yield piece

    def _names(self, entry: Entry) -> Any:
        with told():
            found = self.history.repo.load_variant(OSTree.ObjectType.DIR_TREE, entry.checksum)[1]
        try:
            return decode_dirtree(bytes(found.get_data_as_bytes().get_data() or b""))
        except (ValueError, IndexError):
            raise failure(f"Corrupted dirtree {entry.checksum}") from None

    def _directory(self, path: str, checksum: str, meta: str) -> Entry:
        if meta not in self._metas:
            with told():
                found = self.history.repo.load_variant(OSTree.ObjectType.DIR_META, meta)[1]
            data = bytes(found.get_data_as_bytes().get_data())
            uid, gid, mode = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4, 8))
            self._metas[meta] = uid, gid, mode, _pairs(found.get_child_value(3))
        uid, gid, mode, xattrs = self._metas[meta]
        return Entry(path, mode, uid, gid, 0, checksum, meta, xattrs=xattrs)

    def _file(self, path: str, checksum: str) -> Entry:
        with told():
            _, _, info, xattrs = self.history.repo.load_file(checksum, None)
        link = info.get_file_type() == Gio.FileType.SYMBOLIC_LINK
        return Entry(
            path,
            info.get_attribute_uint32("unix::mode"),
            info.get_attribute_uint32("unix::uid"),
            info.get_attribute_uint32("unix::gid"),
            0 if link else info.get_size(),
            checksum,
            target=info.get_symlink_target() if link else None,
            xattrs=_pairs(xattrs),
        )


def _pairs(found: Any) -> tuple[tuple[str, bytes], ...]:
    """Extended attributes by name."""
    return tuple(
        (bytes(name).rstrip(b"\0").decode(errors="surrogateescape"), bytes(value))
        for name, value in (found.unpack() if found is not None else ())
    )


def xattrs_text(entry: Entry) -> str:
    """Extended attributes in GVariant's own text, as `ostree ls -X` prints them."""
    from gi.repository import GLib

    pairs = [(name.encode(errors="surrogateescape") + b"\0", value) for name, value in entry.xattrs]
    return str(GLib.Variant("a(ayay)", pairs).print_(True))
