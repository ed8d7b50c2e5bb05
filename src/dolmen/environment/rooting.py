"""The directories that keep images, as a list for people."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.layout import Environment
from dolmen.store import Store
from dolmen.support.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Root:
    """One directory; `missing_since`: RFC 3339, when a collection first did not find it."""

    directory: Path
    there: bool
    generations: int
    missing_since: str | None
    ad_hoc: bool


def list_roots(store: Store) -> tuple[Root, ...]:
    """All of them, sorted by path."""
    found: list[Root] = []
    for directory in store.roots():
        environment = Environment(directory)
        there = environment.generations.is_dir()
        missing = None if there else store.read_lease(directory).missing
        found.append(
            Root(
                directory,
                there,
                len(generations.numbers(environment)) if there else 0,
                None if missing is None else datetime.fromtimestamp(missing, UTC).isoformat(),
                directory.parent == store.path / "shells",
            )
        )
    return tuple(found)


def forget_root(store: Store, directory: Path) -> Path:
    """End a root, whether its directory is there or not; raises DeclarationError ("no-root")."""
    known = store.roots()
    for path in (Path(os.path.abspath(directory)), Path(os.path.realpath(directory))):
        if path in known:
            store.remove_root(path)
            return path
    raise DeclarationError(
        "no root of the store is this directory",
        reason="no-root",
        context=str(directory),
        hint="dolmen roots",
    )
