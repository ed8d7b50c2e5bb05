"""Where two trees differ, by their metadata: directories that are equal are not even read."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from dolmen.store.objects import DirTree, Objects

_EMPTY = DirTree({}, {})


@dataclass(frozen=True, slots=True)
class TreeDifference:
    """One path that is not the same in both trees; a kind is "d", "f", "l", or "" for nothing.

    `before` and `after` are objects of files and links, "" for directories and nothing.
    """

    path: str
    kind_before: str
    kind_after: str
    before: str = ""
    after: str = ""
    mode_before: int = 0
    mode_after: int = 0

    @property
    def what(self) -> str:
        """ "added", "removed", "kind", "mode" (nothing else changed) or "content"."""
        if not self.kind_before:
            return "added"
        if not self.kind_after:
            return "removed"
        if self.kind_before != self.kind_after:
            return "kind"
        return "mode" if self.kind_before == "d" else "content"


class TreeReader:
    """Reads single paths of a commit, following symbolic links within the tree."""

    def __init__(self, objects: Objects, commit: str) -> None:
        self.objects = objects
        self.root = objects.commit(commit)

    def find(self, path: str) -> str | None:
        """The object of the regular file at `path` ("/usr/x"), None where there is none."""
        waiting = [part for part in path.split("/") if part][::-1]
        here = [self.root.tree]
        for _ in range(200):  # parts and links together
            if not waiting:
                return None
            part = waiting.pop()
            if part in (".", ".."):
                here = here[:-1] if part == ".." and len(here) > 1 else here
                continue
            content = self.objects.dirtree(here[-1])
            if part in content.dirs:
                here.append(content.dirs[part][0])
                continue
            checksum = content.files.get(part)
            if checksum is None:
                return None
            target = self.objects.link_target(checksum)
            if target is None:
                return checksum if not waiting else None
            here = here[:1] if target.startswith("/") else here
            waiting += [name for name in target.split("/") if name][::-1]
        return None

    def names(self, path: str) -> dict[str, str]:
        """Names and objects of the files right in a directory (real path); none without it."""
        tree = self.root.tree
        for part in (part for part in path.split("/") if part):
            found = self.objects.dirtree(tree).dirs.get(part)
            if found is None:
                return {}
            tree = found[0]
        return dict(self.objects.dirtree(tree).files)

    def read(self, path: str, limit: int) -> bytes | None:
        """A file's content; None where it is missing or larger than `limit` bytes."""
        checksum = self.find(path)
        return None if checksum is None else read_small(self.objects, checksum, limit)


def read_small(objects: Objects, checksum: str, limit: int) -> bytes | None:
    """A file's object, or None if it is larger than `limit` bytes."""
    if objects.size(checksum) > limit:
        return None
    return objects.read(checksum)


def compare_trees(objects: Objects, before: str, after: str) -> Iterator[TreeDifference]:
    """The differences of two commits, sorted within their directories."""
    one, two = objects.commit(before), objects.commit(after)
    yield from _directory(objects, (one.tree, one.meta), (two.tree, two.meta), "")


def _directory(
    objects: Objects,
    one: tuple[str, str] | None,
    two: tuple[str, str] | None,
    path: str,
) -> Iterator[TreeDifference]:
    if one == two:
        return
    if path and (one is None or two is None or one[1] != two[1]):
        yield TreeDifference(
            path,
            "d" if one else "",
            "d" if two else "",
            mode_before=objects.dirmeta(one[1]) if one else 0,
            mode_after=objects.dirmeta(two[1]) if two else 0,
        )
    left = objects.dirtree(one[0]) if one else _EMPTY
    right = objects.dirtree(two[0]) if two else _EMPTY
    names = {*left.files, *left.dirs, *right.files, *right.dirs}
    for name in sorted(names):
        below = f"{path}/{name}"
        old, new = left.files.get(name, ""), right.files.get(name, "")
        if old != new:
            # Where a directory takes a file's place both are told, each on a line of its own.
            yield _file(objects, below, old, new)
        yield from _directory(objects, left.dirs.get(name), right.dirs.get(name), below)


def _file(objects: Objects, path: str, old: str, new: str) -> TreeDifference:
    one, two = (objects.mode(checksum) if checksum else 0 for checksum in (old, new))
    return TreeDifference(
        path, _kind(one), _kind(two), old, new, stat.S_IMODE(one), stat.S_IMODE(two)
    )


def _kind(mode: int) -> str:
    return "" if not mode else "l" if stat.S_ISLNK(mode) else "f"
