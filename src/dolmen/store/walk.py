"""Everything a commit holds, path by path."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from dolmen.store.objects import Objects


@dataclass(frozen=True, slots=True)
class WalkEntry:
    """One path ("/" or "/usr/bin/x"): kinds d, f, l; `mode`: permission bits.

    `checksum`: the file's object, or the directory's dirtree. `target`: of a symbolic link.
    """

    path: str
    kind: str
    mode: int
    checksum: str
    target: str = ""


def walk(objects: Objects, commit: str) -> Iterator[WalkEntry]:
    """Sorted, a directory before what it holds.

    Raises StoreError ("object-missing", "object-damaged").
    """
    root = objects.commit(commit)
    yield from _walk(objects, root.tree, root.meta, "/")


def _walk(objects: Objects, tree: str, meta: str, path: str) -> Iterator[WalkEntry]:
    yield WalkEntry(path, "d", objects.dirmeta(meta), tree)
    content = objects.dirtree(tree)
    prefix = path.rstrip("/")
    for name in sorted((*content.files, *content.dirs)):
        below = f"{prefix}/{name}"
        if name in content.dirs:
            yield from _walk(objects, *content.dirs[name], below)
            continue
        checksum = content.files[name]
        mode = objects.mode(checksum)
        if stat.S_ISLNK(mode):
            target = objects.read_link(checksum).decode()
            yield WalkEntry(below, "l", 0o777, checksum, target)
        else:
            yield WalkEntry(below, "f", stat.S_IMODE(mode), checksum)
