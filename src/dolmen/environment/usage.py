"""How much room environments take: what is theirs alone, and what they share.

Sizes are bytes on disk, by object (an inode) and by what realised trees have beside those (their
directories and symbolic links). Removing an environment gives back what is its own, and no more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.layout import Environment
from dolmen.store import Store
from dolmen.store.usage import (
    Inventory,
    ObjectName,
    Part,
    all_objects,
    disk_size,
    own_size,
    whole_size,
)
from dolmen.support.errors import DolmenError


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes: `own` has no other holder, `total` is everything."""

    own: int
    total: int

    @property
    def shared(self) -> int:
        """What others have as well."""
        return self.total - self.own


@dataclass(frozen=True, slots=True)
class GenerationUsage:
    """One generation; `own` is what no other image of the store has."""

    number: int
    image: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class EnvironmentUsage:
    """One directory with all of its generations; `own` is what no other directory uses."""

    directory: Path
    there: bool
    usage: Usage
    generations: tuple[GenerationUsage, ...]


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """All of the store: its directories (`parts`), and what nobody needs of its objects."""

    path: Path
    parts: tuple[Part, ...]
    environments: tuple[EnvironmentUsage, ...]
    unreferenced: int
    total: int


class Measure:
    """Measures images of one store; what several have in common is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.inventory: Inventory = store.inventory()
        self._objects: dict[str, set[ObjectName]] = {}
        self._trees: dict[str, int] = {}

    def objects(self, image: str) -> set[ObjectName]:
        """Every object of an image."""
        if image not in self._objects:
            commit = self._store.resolve(f"image/{image}")
            self._objects[image] = self.inventory.reach([commit] if commit else [])
        return self._objects[image]

    def tree(self, image: str) -> int:
        """What its realised tree has beside those."""
        if image not in self._trees:
            self._trees[image] = own_size(self._store.trees / image)
        return self._trees[image]

    def usage(self, images: Iterable[str], others: Iterable[str]) -> Usage:
        """What some images take, and what of it none of `others` has."""
        mine, theirs = set(images), set(others)
        held = self._all(mine)
        own = self.inventory.total(held - self._all(theirs)) + sum(map(self.tree, mine - theirs))
        return Usage(own, self.inventory.total(held) + sum(map(self.tree, mine)))

    def _all(self, images: Iterable[str]) -> set[ObjectName]:
        return set().union(*map(self.objects, images))


def images_of(environment: Environment) -> dict[int, str]:
    """The image of each generation; damaged ones are left out."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for number in generations.numbers(environment):
            with contextlib.suppress(DolmenError):
                found[number] = generations.read(environment, number).generation.image
    return found


def usage_of(
    environment: Environment, store: Store, measure: Measure | None = None
) -> EnvironmentUsage:
    """One environment, against all that are registered."""
    everybody = {path: images_of(Environment(path)) for path in store.roots()}
    return _usage(environment.directory, everybody, measure or Measure(store))


def sizes(environment: Environment, store: Store) -> dict[int, Usage]:
    """Each generation of an environment, against the others of it."""
    images = images_of(environment)
    measure = Measure(store)
    return {
        number: measure.usage([image], [i for n, i in images.items() if n != number])
        for number, image in images.items()
    }


def store_usage(store: Store) -> StoreUsage:
    """Everything: a walk over the whole store, seconds for large ones."""
    everybody = {path: images_of(Environment(path)) for path in store.roots()}
    measure = Measure(store)
    found = [_usage(path, everybody, measure) for path in everybody]
    parts = [Part("repo", *whole_size(store.path / "repo"))]
    trees = [entry for entry in store.trees.iterdir() if entry.is_dir()]
    parts.append(Part("trees", len(trees), sum(map(own_size, trees))))
    for path in sorted(store.path.iterdir()):
        if path.name not in ("repo", "trees") and path.is_dir():
            parts.append(Part(path.name, *whole_size(path)))
    needed: set[ObjectName] = set()
    for ref in store.refs():
        commit = store.resolve(ref)
        measure.inventory.reach([commit] if commit else [], needed)
    unreferenced = sum(
        disk_size(path) for name, path in all_objects(store.path / "repo") if name not in needed
    )
    return StoreUsage(
        store.path,
        tuple(parts),
        tuple(sorted(found, key=lambda one: -one.usage.own)),
        unreferenced,
        sum(part.size for part in parts),
    )


def _usage(
    directory: Path, everybody: dict[Path, dict[int, str]], measure: Measure
) -> EnvironmentUsage:
    mine = everybody.get(directory) or images_of(Environment(directory))
    others = {i for path, found in everybody.items() if path != directory for i in found.values()}
    each = []
    for number, image in mine.items():
        rest = others | {other for n, other in mine.items() if n != number}
        each.append(GenerationUsage(number, image, measure.usage([image], rest)))
    there = (directory / ".dolmen").is_dir()
    return EnvironmentUsage(directory, there, measure.usage(mine.values(), others), tuple(each))
