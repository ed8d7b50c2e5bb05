"""How many images the store keeps, of a directory and of a machine: each has a ref, which nothing
else removes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.support.files import write_atomic

#: The newest images of a directory that stay, the one just built among them.
KEPT = 5
#: The same for what a machine builds for itself: the sysroot has its own copies.
KEPT_BY_MACHINE = 2
_KEY = re.compile(r"[0-9a-f]{64}")


def remember(notes: Path, key: Sha256, store: Store, *, number: int = KEPT) -> tuple[Sha256, ...]:
    """Note an image in the file `notes`; forget all but the newest, which `gc` may collect then.

    Returns the keys that were forgotten. Machines and published repositories have copies of theirs.
    """
    known = [*(one for one in _read(notes) if one != key), key]
    gone = _drop(known, store, number)
    _write(notes, known[len(gone) :])
    return gone


def forget(notes: Path, store: Store, *, number: int = 0) -> tuple[Sha256, ...]:
    """Forget all but so many of the noted images, also on a disk that is full; returns those."""
    known = _read(notes)
    gone = _drop(known, store, number)
    if gone:
        with contextlib.suppress(OSError):  # what is noted still is forgotten again
            _write(notes, known[len(gone) :])
    return gone


def _read(notes: Path) -> list[Sha256]:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return [Sha256(line) for line in notes.read_text().split() if _KEY.fullmatch(line)]
    return []


def _write(notes: Path, keys: list[Sha256]) -> None:
    write_atomic(notes, "".join(f"{one}\n" for one in keys))


def _drop(known: list[Sha256], store: Store, number: int) -> tuple[Sha256, ...]:
    gone = tuple(known[: max(0, len(known) - number)])
    for one in gone:
        store.unname(f"system/{one}")
    return gone
