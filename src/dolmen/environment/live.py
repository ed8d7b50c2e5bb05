"""Which generation is live: listing, switching, going back.

Going back restores manifest and lock of that generation too, so that `install` starts from what is
live; edits that were never installed are kept in a file beside the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.environment import generations
from dolmen.environment.committing import is_whole, replace_text, taken_back
from dolmen.environment.layout import Environment
from dolmen.model import Generation
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, Notice, ignore
from dolmen.support.files import write_atomic


@dataclass(frozen=True, slots=True)
class Listed:
    """A generation as a list shows it."""

    generation: Generation
    live: bool
    whole: bool


def list_generations(environment: Environment) -> tuple[Listed, ...]:
    """All generations, oldest first; damaged ones are left out."""
    live = generations.current_number(environment)
    found: list[Listed] = []
    for number in generations.numbers(environment):
        try:
            record = generations.read(environment, number)
        except DeclarationError:
            continue
        found.append(Listed(record.generation, number == live, is_whole(environment, record)))
    return tuple(found)


def switch(environment: Environment, number: int, *, emit: Emit = ignore) -> Generation:
    """Make another generation live, with its manifest and lock.

    Raises DeclarationError ("no-generation", "bad-generation", "tree-missing").
    """
    environment.manifest_text()
    with environment.held(emit):
        return _switch(environment, number, f"switch {number}", emit)


def rollback(environment: Environment, *, emit: Emit = ignore) -> Generation:
    """Go back to what was live before; twice is where one was.

    Raises DeclarationError ("no-previous").
    """
    environment.manifest_text()
    with environment.held(emit):
        number = generations.previous_number(environment)
        if number is None:
            raise DeclarationError(
                "no other generation was live before this one",
                reason="no-previous",
                context=str(environment.directory),
                hint="dolmen generations",
            )
        return _switch(environment, number, "rollback", emit)


def _switch(environment: Environment, number: int, action: str, emit: Emit) -> Generation:
    record = generations.read(environment, number)
    if not is_whole(environment, record):
        raise DeclarationError(
            f"the image of generation {number} is no longer in the store",
            reason="tree-missing",
            context=str(record.tree),
            hint=f"cp .dolmen/generations/{number}/dolmen.* . && dolmen sync",
        )
    directory = generations.directory_of(environment, number)
    manifest = (directory / MANIFEST_NAME).read_text()
    lock = (directory / LOCK_NAME).read_text()
    _keep_edits(environment, emit)
    with taken_back(environment, unless_live=number):
        replace_text(environment.manifest, manifest)
        replace_text(environment.lock, lock)
        generations.activate(environment, number, action=action)
    generations.match_times(environment, number)
    return record.generation


def _keep_edits(environment: Environment, emit: Emit) -> None:
    """Save a manifest that no generation holds, before it is overwritten."""
    text = environment.manifest_text()
    for number in generations.numbers(environment):
        path = generations.directory_of(environment, number) / MANIFEST_NAME
        if path.exists() and path.read_text() == text:
            return
    kept = environment.state / f"{MANIFEST_NAME}.kept"
    write_atomic(kept, text)
    emit(Notice(f"{MANIFEST_NAME} had edits that were never installed; kept as {kept}", "warning"))
