"""Searching the archive by names and descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dolmen.archive import catalogue
from dolmen.environment.inspect.view import View
from dolmen.support.events import Emit, ignore


@dataclass(frozen=True, slots=True)
class Hit:
    """A package that was found; `installed` is the version in the environment, if any."""

    name: str
    version: str
    suite: str
    description: str
    installed: str | None


@dataclass(frozen=True, slots=True)
class Hits:
    """The best hits, and how many there are in all; `fetched` is the index's age as a time."""

    total: int
    hits: tuple[Hit, ...]
    fetched: float


def search(
    seen: View,
    words: Sequence[str],
    *,
    limit: int | None = None,
    refresh: bool = False,
    emit: Emit = ignore,
) -> Hits:
    """Packages in whose names and descriptions all words stand, the best first.

    Raises ArchiveError (see archive.catalogue).
    """
    offered = catalogue(seen.manifest, state=seen.state, refresh=refresh, emit=emit)
    parts = [part for word in words for part in word.split()]
    total, found = offered.search(parts, limit=limit)
    installed = seen.installed() if found else {}
    hits = tuple(
        Hit(o.name, o.version, o.suite, o.description, installed.get(o.name)) for o in found
    )
    return Hits(total, hits, offered.fetched)
