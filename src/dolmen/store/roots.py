"""Roots: the directories whose generations keep their images from being collected.

`roots/NAME` is a symbolic link to the directory, NAME the beginning of the digest of its path: one
name a directory, found without reading anything. A link that leads nowhere (a directory moved, or
on a disk that is not there) is still a root: `leases/NAME` remembers what the directory needed when
it was last seen, and since when it is missing. Only `remove_root` ends a root.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from dolmen.support.files import symlink_atomic, sync_directory, write_atomic

LEASES = "leases"
_KINDS = ("refs", "keys", "images")


@dataclass(frozen=True, slots=True)
class Needs:
    """What must stay for somebody's sake: refs of the repository, keys and roots of images.

    `everything`: it cannot be told, so nothing that has an image may go.
    """

    refs: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    everything: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.refs | other.refs,
            self.keys | other.keys,
            self.images | other.images,
            self.everything or other.everything,
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """What a directory needed when it was last seen; `missing` since when it is not (seconds)."""

    needs: Needs = field(default_factory=Needs)
    missing: float | None = None


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
    name = root_name(directory)
    (roots / name).unlink(missing_ok=True)
    sync_directory(roots)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        (roots.parent / LEASES / name).unlink()


def read_lease(roots: Path, directory: Path) -> Lease:
    """What is remembered of a directory; without a memory it may need everything."""
    try:
        data = json.loads((roots.parent / LEASES / root_name(directory)).read_text())
        refs, keys, images = (frozenset(map(str, data[kind])) for kind in _KINDS)
        needs = Needs(refs, keys, images, data["everything"] is True)
        missing = data["missing"]
        return Lease(needs, None if missing is None else float(missing))
    except (OSError, ValueError, KeyError, TypeError):
        return Lease(Needs(everything=True))


def write_lease(roots: Path, directory: Path, lease: Lease) -> None:
    """Remember it, if it is news."""
    path = roots.parent / LEASES / root_name(directory)
    value = {
        "directory": os.fsencode(directory).decode(errors="replace"),
        "missing": lease.missing,
        "everything": lease.needs.everything,
        **{kind: sorted(getattr(lease.needs, kind)) for kind in _KINDS},
    }
    text = json.dumps(value, indent=0, sort_keys=True) + "\n"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text:
            return
    path.parent.mkdir(exist_ok=True, mode=0o755)
    write_atomic(path, text)


def extend_lease(roots: Path, directory: Path, needs: Needs) -> None:
    """Remember that a directory, which is there, needs this too."""
    known = read_lease(roots, directory)
    before = Needs() if known.needs.everything else known.needs
    write_lease(roots, directory, replace(known, needs=before | needs, missing=None))


def union(needs: Iterable[Needs]) -> Needs:
    """What all of them need."""
    found = Needs()
    for one in needs:
        found |= one
    return found
