"""Entering a generation without making it live: to try an older one, or one just built."""

from __future__ import annotations

from pathlib import Path

from dolmen.environment import generations, placing
from dolmen.environment.backend import Backend
from dolmen.environment.entering import is_known
from dolmen.environment.layout import Environment
from dolmen.environment.recorded import lock_of
from dolmen.environment.settling import is_whole
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, ignore


def visit(
    environment: Environment, reference: str, *, backend: Backend, emit: Emit = ignore
) -> Path:
    """The launcher of a generation (number, name or `-`); manifest, lock and link stay.

    An image that is no longer in the store is made again from the generation's own lock. Raises
    DeclarationError ("no-generation", "unknown-directory", "bad-generation") and whatever a build
    may raise.
    """
    number = generations.find(environment, reference)
    record = generations.read(environment, number)
    if not is_known(environment, backend):
        # Its launchers are scripts that came with a clone or a copy: a stranger's.
        raise DeclarationError(
            "the store does not know this directory, so its old launchers are not run",
            reason="unknown-directory",
            context=str(environment.directory),
            hint="dolmen sync",
        )
    if not record.tree.is_dir():
        lock = lock_of(environment, number)
        if lock is not None:
            placing.build(environment, lock, backend=backend, emit=emit)
    if not is_whole(environment, record):
        raise DeclarationError(
            f"generation {number} cannot be entered any more",
            reason="tree-missing",
            context=str(record.tree),
            hint="dolmen sync",
        )
    return generations.directory_of(environment, number) / generations.LAUNCH
