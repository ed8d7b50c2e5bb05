"""How many of a directory's images the store keeps: each has a ref, which nothing else removes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.support.files import write_atomic

#: The newest images of a directory that stay, the one just built among them.
KEPT = 5
_KEY = re.compile(r"[0-9a-f]{64}")


def remember(notes: Path, key: Sha256, store: Store) -> tuple[Sha256, ...]:
    """Note an image in the file `notes`; forget those beyond KEPT, which `gc` may collect then.

    Returns the keys that were forgotten. Machines and published repositories have copies of theirs.
    """
    known: list[Sha256] = []
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = notes.read_text().split()
        known = [Sha256(line) for line in lines if _KEY.fullmatch(line) and line != key]
    known.append(key)
    gone, kept = tuple(known[:-KEPT]), known[-KEPT:]
    write_atomic(notes, "".join(f"{one}\n" for one in kept))
    for one in gone:
        store.unname(f"system/{one}")
    return gone
