"""Roots: the directories whose generations keep their images from being collected.

`roots/NAME` is a symbolic link to the directory, NAME the beginning of the digest of its path: one
name a directory, found without reading anything. A link that leads nowhere (a directory moved, or
on a disk that is not there) is still a root; only `remove_root` ends one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dolmen.support.files import symlink_atomic, sync_directory


def root_name(directory: Path) -> str:
    """The name of a directory's root, hexadecimal digits."""
    return hashlib.sha256(os.fsencode(directory)).hexdigest()[:40]


def is_root(roots: Path, directory: Path) -> bool:
    """Whether `directory` (absolute) is registered; nothing is opened or made."""
    try:
        return os.readlink(roots / root_name(directory)) == os.fspath(directory)
    except OSError:
        return False


def add_root(roots: Path, directory: Path) -> Path:
    """Register a directory (absolute), durably; its entry."""
    entry = roots / root_name(directory)
    if not is_root(roots, directory):
        symlink_atomic(entry, os.fspath(directory))
    return entry


def list_roots(roots: Path) -> tuple[Path, ...]:
    """All registered directories, sorted, there or not."""
    with os.scandir(roots) as entries:
        names = [e.path for e in entries if e.is_symlink() and not e.name.startswith(".")]
    return tuple(sorted(Path(os.readlink(name)) for name in names))


def remove_root(roots: Path, directory: Path) -> None:
    """End a directory's registration; no error where there is none."""
    (roots / root_name(directory)).unlink(missing_ok=True)
    sync_directory(roots)
