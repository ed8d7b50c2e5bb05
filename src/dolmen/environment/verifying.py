"""Whether an environment's lock gives the same image again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolmen.environment import generations, systems
from dolmen.environment.backend import Backend
from dolmen.environment.layout import Environment
from dolmen.environment.operations import read_lock
from dolmen.model import parse_manifest
from dolmen.support.errors import NotReproducibleError
from dolmen.support.events import Emit, ignore

if TYPE_CHECKING:
    from dolmen.image.verify import Verification

_MAX_DETAILS = 50


def verify(environment: Environment, *, backend: Backend, emit: Emit = ignore) -> Verification:
    """Build the lock's image from nothing in other conditions, and compare.

    Raises NotReproducibleError, whose details name what differs, or without building anything where
    what is live was modified by hand ("modified-by-hand"); DeclarationError ("no-lock",
    "is-a-system").
    """
    systems.refuse(environment, parse_manifest(environment.manifest_text()))
    live = generations.current(environment)
    if live is not None and live.generation.modified:
        raise NotReproducibleError(
            f"generation {live.generation.number} was modified by hand: no lock gives its image",
            reason="modified-by-hand",
            context=str(environment.directory),
            hint="verify what the lock gives: dolmen rollback && dolmen verify",
        )
    lock = read_lock(environment).selected(live.groups if live else ())
    backend.provide(environment.directory, [p for p in lock.packages if p.is_local])
    found = backend.verify(lock, emit=emit)
    if not found.reproducible:
        details = [f"{difference.path}: {difference.what}" for difference in found.differences]
        if len(details) > _MAX_DETAILS:
            details = [*details[:_MAX_DETAILS], f"and {len(details) - _MAX_DETAILS} more paths"]
        raise NotReproducibleError(
            f"two builds of this lock differ in {len(found.differences)} paths",
            context=f"image {found.first.root} and image {found.second.root}",
            details=details,
            hint="report it, with dolmen.lock",
        )
    return found
