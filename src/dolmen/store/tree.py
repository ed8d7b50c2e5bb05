"""A directory tree in memory, made of names and checksums only.

Subtrees that nobody changed stay unread references to dirtree objects, so merging a package costs
what it shares with the others, not what it holds. libostree's MutableTree does the same, but each
of its calls through introspection costs more than our whole merge of a small directory.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Protocol

from dolmen.model import Sha256
from dolmen.store.objects import Attributes, Objects, encode_dirtree


class MetadataWriter(Protocol):
    """Where `Directory.write` puts its objects; `Transaction` is one."""

    def write_metadata(self, kind: str, data: bytes) -> Sha256:
        """Store one object."""
        ...


class Directory:
    """One directory; mutable. Paths given to its methods are relative and clean ("usr/bin/x")."""

    __slots__ = ("_dirs", "_files", "_objects", "_tree", "meta", "mode", "owner")

    def __init__(
        self,
        reader: Objects,
        *,
        mode: int = 0o755,
        tree: Sha256 | None = None,
        meta: Sha256 | None = None,
    ) -> None:
        self._objects = reader
        self._tree = tree
        self._files: dict[str, Sha256] = {}
        self._dirs: dict[str, Directory] = {}
        #: The dirmeta object; None means that `mode` is to be written at the end.
        self.meta = meta
        self.mode = mode
        self.owner = (0, 0)

    @property
    def unread(self) -> bool:
        """Whether it is still a mere reference."""
        return self._tree is not None

    @property
    def files(self) -> dict[str, Sha256]:
        """Names of files and symbolic links; call `own` before changing it."""
        self.own()
        return self._files

    @property
    def dirs(self) -> dict[str, Directory]:
        """Names of subdirectories; call `own` before changing it."""
        self.own()
        return self._dirs

    def own(self) -> None:
        """Read the names in, since they are about to be looked at or changed."""
        if self._tree is None:
            return
        content = self._objects.dirtree(self._tree)
        self._tree = None
        self._files = dict(content.files)
        self._dirs = {
            name: Directory(self._objects, tree=tree, meta=meta)
            for name, (tree, meta) in content.dirs.items()
        }

    def same_as(self, other: Directory) -> bool:
        """Whether both are references to the same tree (False: unknown)."""
        return self._tree is not None and self._tree == other._tree

    def child(self, name: str) -> Directory | None:
        """A subdirectory by name."""
        return self.dirs.get(name)

    def directory(self, path: str, *, mode: int = 0o755) -> Directory:
        """The directory at `path`, made (with missing parents) when it is not there.

        Raises NotADirectoryError when a file or symbolic link is in the way.
        """
        here = self
        for part in path.split("/") if path else ():
            found = here.dirs.get(part)
            if found is None:
                if part in here.files:
                    raise NotADirectoryError(path)
                found = here._dirs[part] = Directory(self._objects, mode=mode)
            here = found
        return here

    def find(self, path: str) -> Directory | Sha256 | None:
        """What is at `path`: a directory, an object, or nothing; links are not followed."""
        parent, _, name = path.rpartition("/")
        here: Directory | None = self
        for part in parent.split("/") if parent else ():
            here = here.dirs.get(part) if here is not None else None
        if here is None:
            return None
        if not name:
            return here
        return here.dirs.get(name) or here.files.get(name)

    def place(self, path: str, entry: Sha256 | Directory) -> None:
        """Put an object or a directory at `path`, replacing what was there."""
        parent, _, name = path.rpartition("/")
        here = self.directory(parent)
        here.own()
        if isinstance(entry, Directory):
            here._files.pop(name, None)
            here._dirs[name] = entry
        else:
            here._dirs.pop(name, None)
            here._files[name] = entry

    def remove(self, path: str) -> bool:
        """Take away what is at `path`, with all below it; False when there was nothing."""
        parent, _, name = path.rpartition("/")
        here = self.find(parent)
        if not isinstance(here, Directory):
            return False
        here.own()
        return (here._files.pop(name, None) or here._dirs.pop(name, None)) is not None

    def set_mode(self, mode: int) -> None:
        """Change the directory's own permission bits; it belongs to 0:0 then."""
        self.set_attributes(mode, 0, 0)

    def set_attributes(self, mode: int, uid: int, gid: int) -> None:
        """Change the directory's own permission bits and owner."""
        self.mode, self.owner, self.meta = mode, (uid, gid), None

    def attributes(self) -> Attributes:
        """The directory's own mode and owner."""
        if self.meta is not None:
            return self._objects.directory_attributes(self.meta)
        return Attributes(stat.S_IFDIR | self.mode, *self.owner)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Directory | Sha256]]:
        """Everything below, sorted, a directory before what it holds; paths are relative."""
        files, dirs = self.files, self.dirs
        for name in sorted((*files, *dirs)):
            path = f"{prefix}{name}"
            if name in dirs:
                yield path, dirs[name]
                yield from dirs[name].walk(f"{path}/")
            else:
                yield path, files[name]

    def write(self, writer: MetadataWriter) -> tuple[Sha256, Sha256]:
        """Store it; returns the checksums of its dirtree and its dirmeta."""
        meta = self.meta
        if meta is None:
            meta = self.meta = writer.write_metadata("dirmeta", self.attributes().encode())
        if self._tree is None:
            dirs = {name: child.write(writer) for name, child in self._dirs.items()}
            tree = writer.write_metadata("dirtree", encode_dirtree(self._files, dirs))
            # A reference from now on: a second write is free, and what was read may be dropped.
            self._tree, self._files, self._dirs = tree, {}, {}
            return tree, meta
        return self._tree, meta
