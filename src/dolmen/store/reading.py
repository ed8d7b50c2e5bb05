"""Reading a store that may be damaged: what is not what its name says counts as not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dolmen.store.objects import Commit, DirTree, Objects, decode_commit, decode_dirtree, digest
from dolmen.store.usage import ObjectName
from dolmen.support.errors import StoreError


class Reading:
    """Metadata that is what its name says, read once; anything else counts as not there."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.unsafe: set[ObjectName] = set()
        self._trees: dict[str, DirTree | None] = {}

    def commit(self, checksum: str) -> Commit | None:
        """A commit that is whole."""
        try:
            data = self.objects.read(checksum, "commit")
            return decode_commit(data) if digest(data) == checksum else None
        except (StoreError, OSError, ValueError, IndexError):
            return None

    def tree(self, checksum: str) -> DirTree | None:
        """A directory that is whole."""
        if checksum not in self._trees:
            self._trees[checksum] = self._read(checksum)
        return self._trees[checksum]

    def _read(self, checksum: str) -> DirTree | None:
        try:
            data = self.objects.read(checksum, "dirtree")
            if digest(data) != checksum:
                return None
            found = decode_dirtree(data)
        except (StoreError, OSError, ValueError, IndexError):
            return None
        if any(name in ("", ".", "..") or "/" in name for name in (*found.files, *found.dirs)):
            self.unsafe.add((checksum, "dirtree"))
            return None
        return found

    def reach(self, commits: Iterable[str]) -> set[ObjectName]:
        """Every object that the commits need, as far as can be told."""
        found: set[ObjectName] = set()
        waiting: list[str] = []
        history = list(commits)
        while history:
            checksum = history.pop()
            if (checksum, "commit") in found:
                continue
            found.add((checksum, "commit"))
            commit = self.commit(checksum)
            if commit is not None:
                found |= {(commit.meta, "dirmeta"), (commit.tree, "dirtree")}
                waiting.append(commit.tree)
                # A branch of a person's own has a history; its beginning may be elsewhere.
                if commit.parent is not None and self.objects.has(commit.parent, "commit"):
                    history.append(commit.parent)
        seen: set[str] = set()
        while waiting:
            checksum = waiting.pop()
            if checksum in seen:
                continue
            seen.add(checksum)
            tree = self.tree(checksum)
            if tree is None:
                continue
            found.update((name, "file") for name in tree.files.values())
            for child, meta in tree.dirs.values():
                found |= {(child, "dirtree"), (meta, "dirmeta")}
                waiting.append(child)
        return found

    def paths(self, checksum: str) -> Iterator[tuple[ObjectName, str]]:
        """Every object of a commit with a path; a directory that is damaged ends there."""
        yield (checksum, "commit"), "/"
        commit = self.commit(checksum)
        if commit is None:
            return
        waiting = [(commit.tree, commit.meta, "")]
        while waiting:
            tree, meta, path = waiting.pop()
            yield (tree, "dirtree"), path or "/"
            yield (meta, "dirmeta"), path or "/"
            content = self.tree(tree)
            if content is None:
                continue
            for name, file in content.files.items():
                yield (file, "file"), f"{path}/{name}"
            for name, (child, child_meta) in content.dirs.items():
                waiting.append((child, child_meta, f"{path}/{name}"))
