"""Forgetting apt's files of source sets that nobody uses any more."""

from __future__ import annotations

from pathlib import Path

from dolmen.support.clock import wall
from dolmen.support.errors import BusyError
from dolmen.support.files import remove_tree
from dolmen.support.locking import locked

#: Seconds since its last use after which a source set may go.
KEEP = 30 * 24 * 3600.0


def prune(state: Path, *, keep: float = KEEP) -> int:
    """Remove what was not used for `keep` seconds; returns the bytes that were freed.

    Whatever is in use stays. The high-water marks stay always: they are small, and forgetting
    them would let an archive go backwards.
    """
    freed = 0
    for lock in sorted(state.glob("*/lock")):
        root = lock.parent
        if root.name == "marks" or wall() - lock.stat().st_mtime < keep:
            continue
        try:
            with locked(lock, what="the package index", timeout=0):
                for path in sorted(root.iterdir()):
                    if path != lock:
                        freed += _size(path)
                        remove_tree(path)
        except BusyError:
            continue
        # the lock file stays for those who wait for it already; an empty directory costs nothing
    return freed


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
