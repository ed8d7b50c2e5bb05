"""What libostree (2022.7) leaves open at the end of a change: an order, and durability.

Found by killing and by power cuts at every call: a transaction gives its staged objects their names
in the order of the directory, so that a kill leaves commits whose content is not there yet, and
`fsck` calls that corruption; and the directories of refs are never synced, so that on xfs a ref
that was reported written is the old one after a power cut.
"""

from __future__ import annotations

import os
from pathlib import Path

from dolmen.store.leftover import HALF_A_REF
from dolmen.store.syncing import sync_file_system
from dolmen.support.clock import wall

_AT_WORK = 60.0
#: Content before what refers to it.
_ORDER = ("file", "filez", "dirmeta", "dirtree", "commit")


def sync(path: Path, *, disabled: bool) -> None:
    """Make all of a repository durable, unless its owner does not want that (core.fsync)."""
    if not disabled:
        sync_file_system(path)


def name_staged(path: Path, *, disabled: bool) -> None:
    """Give the objects of this process's open transaction their names, in their order."""
    objects = path / "objects"
    for staging in _stagings(path):
        waiting: list[tuple[int, str, str]] = []
        for directory in os.listdir(staging):
            if len(directory) == 2:
                for name in os.listdir(f"{staging}/{directory}"):
                    kind = name.rpartition(".")[2]
                    if kind in _ORDER:
                        waiting.append((_ORDER.index(kind), directory, name))
        if not waiting:
            continue
        sync(path, disabled=disabled)
        made: set[str] = set()
        for _order, directory, name in sorted(waiting):
            if directory not in made:
                made.add(directory)
                os.makedirs(objects / directory, exist_ok=True)
            final = f"{objects}/{directory}/{name}"
            # Another process may have been first; its inode may be linked into trees already.
            if not os.path.lexists(final):
                os.rename(f"{staging}/{directory}/{name}", final)


def sweep(path: Path) -> None:
    """Remove what a kill left half-written: libostree writes refs, config, summary beside theirs
    under the name tmp.XXXXXX, and looks at those of refs as at refs."""
    waiting = [os.fspath(path), os.fspath(path / "refs")]
    while waiting:
        directory = waiting.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if directory != os.fspath(path):
                        waiting.append(entry.path)
                elif HALF_A_REF.fullmatch(entry.name) and is_old(entry.stat().st_mtime):
                    os.unlink(entry.path)


def is_old(time: float) -> bool:
    """Whether who wrote it then is not at it any more."""
    return wall() - time > _AT_WORK


def _stagings(path: Path) -> set[str]:
    """The directories in which open transactions collect objects: libostree holds them open."""
    base = os.path.realpath(path / "tmp")
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            place = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if os.path.dirname(place) == base and os.path.basename(place).startswith("staging-"):
            found.add(place)
    return {place for place in found if os.path.isdir(place)}
