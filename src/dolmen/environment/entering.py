"""Which launcher `run` and `shell` execute, and what happens when it is not up to date.

The sh front does the first case alone, without Python: `.dolmen` is ours and known to the store,
manifest and lock equal the copies in the live generation. Everything else comes here:

- the lock answers the manifest but is not what is live (a pull, a fresh clone): sync, then enter;
- the lock does not answer the manifest (an edit): warn, and enter what is live;
- `.dolmen` is not known to the store (it came with a clone or a copy): its launcher is a stranger's
  script, so the generation is made anew from the lock.
"""

from __future__ import annotations

from pathlib import Path

from dolmen.environment import generations, persisting
from dolmen.environment.backend import Backend
from dolmen.environment.committing import root_content
from dolmen.environment.generations import Record
from dolmen.environment.layout import Environment
from dolmen.environment.operations import check, is_fresh, sync
from dolmen.environment.settling import is_whole
from dolmen.model import parse_manifest
from dolmen.support.errors import DeclarationError, StaleError
from dolmen.support.events import Emit, Notice, ignore


def prepare(
    environment: Environment,
    *,
    backend: Backend,
    command: str,
    mode: str = "warn",
    emit: Emit = ignore,
) -> Path:
    """The launcher of an environment that is ready to be entered.

    `mode`: "warn" (as above), "locked" (a stale lock is an error), "frozen" (enter what is live,
    look at nothing). Raises StaleError, DeclarationError ("no-lock", "no-environment") and
    whatever a build may raise.
    """
    live = generations.current(environment)
    known = live is not None and is_known(environment, backend)
    usable = live if live is not None and known and is_whole(environment, live) else None
    if usable is not None:
        if mode == "frozen":
            return _launcher(environment, usable)
        if is_fresh(environment, usable, environment.manifest_text(), environment.lock_text()):
            _restore(environment, usable, emit)
            return _launcher(environment, usable)
    if mode != "frozen":
        try:
            check(environment)
        except (StaleError, DeclarationError) as error:
            if mode == "locked" or usable is None or error.reason not in ("lock-stale", "no-lock"):
                raise _with_install_hint(error) from None
            number = usable.generation.number
            emit(Notice(f"{error.message}; entering generation {number}", level="warning"))
            emit(Notice("make it answer: dolmen install", level="hint"))
            return _launcher(environment, usable)
    outcome = sync(
        environment, backend=backend, command=command, mode=mode, anew=not known, emit=emit
    )
    assert outcome.generation is not None
    return generations.directory_of(environment, outcome.generation.number) / generations.LAUNCH


def is_known(environment: Environment, backend: Backend) -> bool:
    """Whether the store in use knows this directory, so that its launchers are our own."""
    try:
        content = environment.root.read_bytes()
    except OSError:
        return False
    name = content.split(b"\n", 1)[0].decode("ascii", "replace")
    return content == root_content(environment, name) and backend.registered(environment.directory)


def _launcher(environment: Environment, live: Record) -> Path:
    return generations.directory_of(environment, live.generation.number) / generations.LAUNCH


def _restore(environment: Environment, live: Record, emit: Emit) -> None:
    """Make what the launcher needs again: somebody may have removed what was kept."""
    paths = parse_manifest(environment.manifest_text()).entrance.persist
    if not all(persisting.place(environment, path).is_dir() for path in paths):
        with environment.held(emit):
            persisting.seed(environment, live.tree, paths)


def _with_install_hint(error: StaleError | DeclarationError) -> StaleError | DeclarationError:
    if error.reason == "no-lock":
        error.hint = "dolmen install"
    return error
