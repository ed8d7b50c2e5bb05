"""Which generation is live: listing, switching, going back.

Going back restores manifest and lock of that generation too, so that `install` starts from what is
live; edits that were never installed are kept in a file beside the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dolmen.environment import allowing, generations
from dolmen.environment.layout import Environment
from dolmen.environment.settling import is_whole, replace_text, taken_back
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


def switch(environment: Environment, reference: int | str, *, emit: Emit = ignore) -> Generation:
    """Make another generation live, with its manifest and lock; by number, name or `-`.

    Raises DeclarationError ("no-generation", "bad-generation", "tree-missing").
    """
    environment.manifest_text()
    with environment.held(emit):
        number = generations.find(environment, str(reference))
        return _switch(environment, number, f"switch {reference}", emit)


def rollback(environment: Environment, *, emit: Emit = ignore) -> Generation:
    """Go back to what was live before; twice is where one was.

    Raises DeclarationError ("no-previous").
    """
    environment.manifest_text()
    with environment.held(emit):
        number = generations.previous_number(environment)
        if number is None:
            raise generations.no_previous(environment)
        return _switch(environment, number, "rollback", emit)


def name_generation(
    environment: Environment, reference: str, name: str, *, emit: Emit = ignore
) -> Generation:
    """Give a generation a name that people remember; an empty one takes it away.

    Raises DeclarationError ("no-generation", "bad-name", "name-taken").
    """
    with environment.held(emit):
        number = generations.find(environment, reference)
        found = generations.annotate(environment, number, name=name).generation
        what = f"generation {number} is named {name}" if name else f"generation {number} is unnamed"
        generations.note(environment, f"name {number} {name}".rstrip(), what)
    return found


def pin(
    environment: Environment, reference: str, *, pinned: bool = True, emit: Emit = ignore
) -> Generation:
    """Keep a generation from being collected by any policy, or let it go again.

    Raises DeclarationError ("no-generation").
    """
    with environment.held(emit):
        number = generations.find(environment, reference)
        found = generations.annotate(environment, number, pinned=pinned).generation
        verb = "pin" if pinned else "unpin"
        generations.note(environment, f"{verb} {number}", f"generation {number} is {verb}ned")
    return found


def remove_generations(
    environment: Environment, references: Sequence[str], *, emit: Emit = ignore
) -> tuple[int, ...]:
    """Take generations away; their images go with the next collection.

    Raises DeclarationError ("no-generation"; "generation-live", "generation-pinned": refused).
    """
    with environment.held(emit):
        wanted = dict.fromkeys(generations.find(environment, ref) for ref in references)
        for number in wanted:
            _may_go(environment, number)
        for number in wanted:
            generations.remove(environment, number)
        listed = ", ".join(map(str, wanted))
        generations.note(environment, f"generations remove {listed}", f"removed {listed}")
    return tuple(wanted)


def _may_go(environment: Environment, number: int) -> None:
    if number == generations.current_number(environment):
        raise DeclarationError(
            f"generation {number} is live",
            reason="generation-live",
            context=str(environment.directory),
            hint="dolmen switch N, then remove it",
        )
    try:
        pinned = generations.read(environment, number).generation.pinned
    except DeclarationError:
        pinned = False
    if pinned:
        raise DeclarationError(
            f"generation {number} is pinned",
            reason="generation-pinned",
            context=str(environment.directory),
            hint=f"dolmen generations unpin {number}",
        )


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
    manifest = (directory / MANIFEST_NAME).read_bytes().decode()
    lock = (directory / LOCK_NAME).read_bytes().decode()
    _keep_edits(environment, emit)
    with taken_back(environment, unless_live=number):
        replace_text(environment.manifest, manifest)
        replace_text(environment.lock, lock)
        generations.activate(environment, number, action=action)
    generations.match_times(environment, number)
    allowing.carry(environment)
    return record.generation


def _keep_edits(environment: Environment, emit: Emit) -> None:
    """Save a manifest that no generation holds, before it is overwritten."""
    text = environment.manifest_text()
    for number in generations.numbers(environment):
        path = generations.directory_of(environment, number) / MANIFEST_NAME
        if path.exists() and path.read_bytes() == text.encode():
            return
    kept = environment.state / f"{MANIFEST_NAME}.kept"
    write_atomic(kept, text)
    emit(Notice(f"{MANIFEST_NAME} had edits that were never installed; kept as {kept}", "warning"))
