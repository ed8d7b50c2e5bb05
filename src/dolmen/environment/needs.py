"""What the generations of a directory need of the store."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.environment import generations, trials
from dolmen.environment.layout import Environment
from dolmen.environment.recorded import lock_of
from dolmen.image import base_packages
from dolmen.image.build import base_key, image_key
from dolmen.image.bytecode import interpreter_key, reference
from dolmen.model import Lock, Sha256
from dolmen.store.roots import Needs
from dolmen.support.errors import DeclarationError


def needs_of(root: Sha256, lock: Lock | None) -> Needs:
    """The image, what building on it needs (its base, package trees, bytecode), and its pointer."""
    if lock is None:
        return Needs(images=frozenset({root}))
    interpreter = interpreter_key(lock)
    refs = {f"deb/{p.sha256}" for p in lock.packages}
    if interpreter:
        refs |= {reference(p, interpreter) for p in lock.packages}
    keys = frozenset({image_key(lock), base_key(lock, base_packages(lock))})
    return Needs(frozenset(refs), keys, frozenset({root}))


@dataclass(slots=True)
class NeedsReader:
    """Reads the needs of many directories; a lock that several generations share is read once."""

    _known: dict[tuple[Sha256, Sha256], Needs] = field(default_factory=dict)

    def of_generation(self, environment: Environment, number: int) -> Needs:
        """One generation's; of a damaged one what can still be told."""
        try:
            found = generations.read(environment, number).generation
        except DeclarationError:
            lock = lock_of(environment, number)
            needs = needs_of(_linked_root(environment, number), lock) if lock else Needs()
            return needs | Needs(images=frozenset({_linked_root(environment, number)}))
        key = (found.image, found.lock_digest)
        if key not in self._known:
            self._known[key] = needs_of(found.image, lock_of(environment, number))
        return self._known[key]

    def of_directory(self, directory: Path) -> Needs | None:
        """All generations of a directory together; None when it cannot be read just now."""
        environment = Environment(directory)
        try:
            os.listdir(environment.generations)
            there = generations.numbers(environment)
        except OSError:
            return None
        found = Needs()
        for number in there:
            found |= self.of_generation(environment, number)
        for name in trials.names(environment):
            found |= self.of_trial(environment, name)
        return found

    def of_trial(self, environment: Environment, name: str) -> Needs:
        """What lies below a trial's layer; nothing where that cannot be told any more."""
        try:
            trial = trials.read(environment, name)
        except DeclarationError:
            return Needs()
        return needs_of(trial.image, trials.lock_of(trial))


def _linked_root(environment: Environment, number: int) -> Sha256:
    link = generations.directory_of(environment, number) / generations.TREE
    try:
        return Sha256(os.path.basename(os.readlink(link)))
    except OSError:
        return Sha256("")
