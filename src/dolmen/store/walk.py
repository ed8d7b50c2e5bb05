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
    `xattrs`: names of extended attributes.
    """

    path: str
    kind: str
    mode: int
    checksum: str
    target: str = ""
    uid: int = 0
    gid: int = 0
    xattrs: tuple[str, ...] = ()


def walk(objects: Objects, commit: str) -> Iterator[WalkEntry]:
    """Sorted, a directory before what it holds.

    Raises StoreError ("object-missing", "object-damaged").
    """
    root = objects.commit(commit)
    yield from _walk(objects, root.tree, root.meta, "/")


def _walk(objects: Objects, tree: str, meta: str, path: str) -> Iterator[WalkEntry]:
    found = objects.directory_attributes(meta)
    yield WalkEntry(path, "d", found.permissions, tree, "", found.uid, found.gid)
    content = objects.dirtree(tree)
    prefix = path.rstrip("/")
    for name in sorted((*content.files, *content.dirs)):
        below = f"{prefix}/{name}"
        if name in content.dirs:
            yield from _walk(objects, *content.dirs[name], below)
            continue
        checksum = content.files[name]
        found = objects.attributes(checksum)
        owner = (found.uid, found.gid)
        if stat.S_ISLNK(found.mode):
            target = objects.read_link(checksum).decode()
            yield WalkEntry(below, "l", 0o777, checksum, target, *owner)
        else:
            names = tuple(name for name, _ in found.xattrs)
            yield WalkEntry(below, "f", found.permissions, checksum, "", *owner, names)
