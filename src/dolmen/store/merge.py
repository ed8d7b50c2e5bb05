"""Uniting two trees by dpkg's rules for directories and symbolic links."""

from __future__ import annotations

from typing import Protocol

from dolmen.model import Sha256
from dolmen.store.tree import Directory

#: Loops of links end here.
_MAX_STEPS = 1000


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
    """The directory that the symbolic link `checksum` at `path` leads to, None where it ends."""
    target = reader.link_target(checksum)
    if target is None:
        return None
    left = _parts(target)
    here = [] if target.startswith("/") else _parts(path)[:-1]
    for _ in range(_MAX_STEPS):
        if not left:
            found = root.find("/".join(here))
            return found if isinstance(found, Directory) else None
        part = left.pop(0)
        if part == "..":
            del here[-1:]
            continue
        found = root.find("/".join((*here, part)))
        if found is None:
            return None
        if isinstance(found, Directory):
            here.append(part)
            continue
        target = reader.link_target(found)
        if target is None:
            return None
        left = _parts(target) + left
        if target.startswith("/"):
            here = []
    return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
