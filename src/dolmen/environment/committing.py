"""Moving the pointers: from a built image to a live generation."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dolmen.environment import allowing, environ, generations, persisting
from dolmen.environment.backend import Backend, Realised
from dolmen.environment.changes import Changes, compare
from dolmen.environment.commands import has_command
from dolmen.environment.generations import Record
from dolmen.environment.layout import Environment
from dolmen.environment.recorded import lock_of
from dolmen.environment.settling import is_whole, replace_text, taken_back
from dolmen.model import Entrance, Generation, Lock, Sha256
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.files import remove_tree, write_atomic


@dataclass(frozen=True, slots=True)
class ByHand:
    """What was written over a lock's image by hand: how many packages there are now, and changes.

    `lock` names them all, as far as that decides which commands are offered.
    """

    packages: int
    changes: Changes
    lock: Lock


def commit(
    environment: Environment,
    *,
    manifest_text: str | None,
    lock_text: str | None,
    texts: tuple[str, str],
    lock: Lock,
    image: Realised,
    backend: Backend,
    command: str,
    name: str | None = None,
    by_hand: ByHand | None = None,
    entrance: Entrance | None = None,
    groups: tuple[str, ...] = (),
) -> Record:
    """Stage, then move the pointers one after the other; `current` is the last.

    `lock` is the part for the `groups`; the text of all of it is in `texts`. `by_hand`: what the
    image has beyond its lock.
    """
    from dolmen.environment.rendering import render_files

    entrance = entrance or Entrance()
    generations.sweep(environment)
    root = root_content(environment, backend.register(environment.directory))
    if not environment.root.exists() or environment.root.read_bytes() != root:
        write_atomic(environment.root, root)
    name = name or environment.directory.name or "dolmen"
    number = generations.next_number(environment)
    changes = by_hand.changes if by_hand else compare(live_lock(environment), lock)
    record = Record(
        Generation(
            number=number,
            created=generations.timestamp(),
            command=command,
            lock_digest=lock.digest(),
            image=image.root,
            packages=by_hand.packages if by_hand else len(lock.packages),
            added=len(changes.added),
            removed=len(changes.removed),
            changed=len(changes.changed),
            modified=by_hand is not None,
        ),
        lock.inputs,
        image.commit,
        image.tree,
        entrance.digest(),
        groups,
    )
    persisting.seed(environment, image.tree, entrance.persist)
    commands = dict.fromkeys(
        backend.commands(image.tree, by_hand.lock if by_hand else lock),
        f"../{generations.LAUNCH}",
    )
    for alias, _line in entrance.aliases:
        if not has_command(image.tree, alias, {}):
            commands[alias] = f"../{generations.LAUNCH}"
    backend.remember(environment.directory, image, lock)
    staged = generations.stage(
        environment,
        record,
        {
            MANIFEST_NAME: texts[0],
            LOCK_NAME: texts[1],
            # Paths in it may be no UTF-8.
            generations.LAUNCH: os.fsencode(
                backend.launcher(image.tree, name=name, state=environment.state, entrance=entrance)
            ),
            environ.ENVIRON: environ.render(dict(entrance.variables)),
            **render_files(entrance, environment.directory),
        },
        commands,
    )
    try:
        backend.host_files(staged / generations.HOST, image.tree)
        with taken_back(environment, unless_live=number):
            if manifest_text is not None:
                replace_text(environment.manifest, manifest_text)
            if lock_text is not None:
                replace_text(environment.lock, lock_text)
            generations.publish(environment, staged, number)
            generations.activate(environment, number, action=command)
    except BaseException:
        if generations.current_number(environment) != number:
            for path in (staged, generations.directory_of(environment, number)):
                remove_tree(path)
        raise
    generations.match_times(environment, number)
    allowing.carry(environment, known=True)
    return record


def root_content(environment: Environment, name: str) -> bytes:
    """What `.dolmen/root` holds: the name of the store's root, and the directory it is for."""
    return f"{name}\n".encode() + os.fsencode(environment.directory) + b"\n"


def live_lock(environment: Environment) -> Lock | None:
    """The lock that the live generation was made from; None where it cannot be told."""
    number = generations.current_number(environment)
    return None if number is None else lock_of(environment, number)


def is_same(
    environment: Environment,
    live: Record | None,
    wanted: Sha256,
    entrance: Entrance,
    groups: tuple[str, ...],
) -> bool:
    """Whether a generation is what would be made: of that lock digest, entered in that way."""
    return (
        live is not None
        and not live.generation.modified
        and live.generation.lock_digest == wanted
        and live.entrance == entrance.digest()
        and live.groups == groups
        and is_whole(environment, live)
    )
