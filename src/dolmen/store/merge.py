"""Uniting two trees by dpkg's rules for directories and symbolic links."""

from __future__ import annotations

import posixpath
from typing import Protocol

from dolmen.model import Sha256
from dolmen.store.tree import Directory


class Links(Protocol):
    """Tells symbolic links from files; `Objects` does."""

    def link_target(self, checksum: str) -> str | None:
        """A symbolic link's target, None for a regular file."""
        ...


def merge(root: Directory, source: Directory, reader: Links) -> list[str]:
    """Add `source` (which is used up) to `root`; returns the paths that are in conflict."""
    conflicts: list[str] = []
    _merge(root, source, "", root, reader, conflicts)
    return sorted(conflicts)


def _merge(
    into: Directory,
    source: Directory,
    prefix: str,
    root: Directory,
    reader: Links,
    conflicts: list[str],
) -> None:
    if into.same_as(source):
        return
    files, dirs = into.files, into.dirs
    for name, checksum in source.files.items():
        if name in dirs:
            # dpkg leaves a directory alone when a package brings a symbolic link there.
            if reader.link_target(checksum) is None:
                conflicts.append(f"/{prefix}{name}")
        elif files.setdefault(name, checksum) != checksum:
            conflicts.append(f"/{prefix}{name}")
    for name, child in source.dirs.items():
        there = dirs.get(name)
        if there is None and name in files:
            there = _through(root, f"{prefix}{name}", files[name], reader)
            if there is None:
                conflicts.append(f"/{prefix}{name}")
                continue
        if there is None:
            dirs[name] = child
        else:
            _merge(there, child, f"{prefix}{name}/", root, reader, conflicts)


def _through(root: Directory, path: str, checksum: Sha256, reader: Links) -> Directory | None:
    """The directory that a symbolic link in the tree leads to."""
    for _ in range(40):
        target = reader.link_target(checksum)
        if target is None:
            return None
        path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target)).strip("/")
        found = root.find(path)
        if found is None or isinstance(found, Directory):
            return found
        checksum = found
    return None
