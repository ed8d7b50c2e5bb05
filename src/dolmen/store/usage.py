"""What takes how much room: objects by commit, trees by their own directories, the rest by file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.store.objects import DirTree, Objects
from dolmen.support.errors import StoreError

#: stat(2) counts blocks of this size whatever the file system's own.
BLOCK = 512

#: (checksum, kind)
ObjectName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the store: how many things, and the bytes that they take on disk."""

    name: str
    count: int
    size: int


class Inventory:
    """Objects by commit; directories that several commits share are read once."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._trees: dict[str, DirTree] = {}
        self._sizes: dict[ObjectName, int] = {}
        #: Damage that was met: checksums of objects that are missing or unreadable.
        self.damaged: set[str] = set()

    def reach(
        self, commits: Iterable[str], found: set[ObjectName] | None = None
    ) -> set[ObjectName]:
        """Every object that the commits need; what is damaged is noted and passed over."""
        found = set() if found is None else found
        waiting: list[str] = []
        for commit in commits:
            if (commit, "commit") in found:
                continue
            found.add((commit, "commit"))
            try:
                root = self._objects.commit(commit)
            except StoreError:
                self.damaged.add(commit)
                continue
            found.add((root.meta, "dirmeta"))
            if (root.tree, "dirtree") not in found:
                found.add((root.tree, "dirtree"))
                waiting.append(root.tree)
        while waiting:
            content = self._tree(waiting.pop())
            found.update((checksum, "file") for checksum in content.files.values())
            for tree, meta in content.dirs.values():
                found.add((meta, "dirmeta"))
                if (tree, "dirtree") not in found:
                    found.add((tree, "dirtree"))
                    waiting.append(tree)
        return found

    def size(self, name: ObjectName) -> int:
        """Bytes on disk; 0 for what is not there."""
        if name not in self._sizes:
            self._sizes[name] = disk_size(self._objects.path(*name))
        return self._sizes[name]

    def total(self, names: Iterable[ObjectName]) -> int:
        """Bytes on disk of several objects."""
        return sum(map(self.size, names))

    def _tree(self, checksum: str) -> DirTree:
        if checksum not in self._trees:
            try:
                self._trees[checksum] = self._objects.dirtree(checksum)
            except StoreError:
                self.damaged.add(checksum)
                self._trees[checksum] = DirTree({}, {})
        return self._trees[checksum]


def ancestors(objects: Objects, commit: str) -> Iterator[str]:
    """The commits before a commit, as far as they are here and can be read."""
    seen = {commit}
    while True:
        try:
            before = objects.commit(commit).parent
        except StoreError:
            return
        if before is None or before in seen or not objects.has(before, "commit"):
            return
        seen.add(before)
        yield before
        commit = before


def all_objects(repo: Path) -> Iterator[tuple[ObjectName, str]]:
    """Every loose object of a repository with its path."""
    try:
        directories = sorted(os.listdir(repo / "objects"))
    except FileNotFoundError:
        return
    for prefix in directories:
        if len(prefix) == 2:
            with os.scandir(repo / "objects" / prefix) as entries:
                for entry in entries:
                    rest, _, kind = entry.name.rpartition(".")
                    yield (f"{prefix}{rest}", kind), entry.path


def disk_size(path: str | os.PathLike[str]) -> int:
    """Bytes on disk of one file, link or directory itself; 0 for what is not there."""
    try:
        return os.lstat(path).st_blocks * BLOCK
    except OSError:
        return 0


def own_size(tree: Path) -> int:
    """What a realised tree takes beside the objects it links to: directories, symbolic links."""
    return sum(
        status.st_blocks * BLOCK
        for status in _below(tree)
        if status.st_nlink == 1 or not _is_regular(status)
    )


def whole_size(path: Path) -> tuple[int, int]:
    """How many files a directory holds, and the bytes of all of it; hard links count once."""
    seen: set[tuple[int, int]] = set()
    count = size = 0
    for status in _below(path):
        inode = (status.st_dev, status.st_ino)
        if inode not in seen:
            seen.add(inode)
            size += status.st_blocks * BLOCK
            count += _is_regular(status)
    return count, size


def _is_regular(status: os.stat_result) -> bool:
    return status.st_mode & 0o170000 == 0o100000


def _below(path: Path) -> Iterable[os.stat_result]:
    waiting = [os.fspath(path)]
    while waiting:
        directory = waiting.pop()
        try:
            yield os.lstat(directory)
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
