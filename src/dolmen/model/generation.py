"""An environment's numbered history."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.model.digest import Sha256


@dataclass(frozen=True, slots=True)
class Generation:
    """One immutable entry: which lock gave which image, by which command, when (RFC 3339, UTC).

    `name` and `pinned` are the user's and may change; a pinned one is never collected. `added`,
    `removed`, `changed` count packages against what was live before (None: made before 0.1).
    `modified`: the image holds a layer written by hand (`keep --as-is`), so the lock alone does not
    give it.
    """

    number: int
    created: str
    command: str
    lock_digest: Sha256
    image: Sha256
    packages: int
    name: str | None = None
    pinned: bool = False
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    modified: bool = False
