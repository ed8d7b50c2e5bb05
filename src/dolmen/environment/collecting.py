"""Collecting garbage: which generations, ad-hoc environments and roots are given up, and why.

The store's collector removes what nobody needs; here is decided who needs what. Generations go by
policy only, never the live one, the one that rollback would bring, nor one that is pinned, named or
in use. A directory that cannot be read (moved, deleted, on a disk that is away) keeps what it had
for as long as its lease says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.adhoc import EXPIRY_SECONDS, expire_held, expired
from dolmen.environment.layout import Environment
from dolmen.environment.needs import NeedsReader
from dolmen.environment.rooms import Rooms
from dolmen.model import Generation
from dolmen.store import Store
from dolmen.store.collect import Collected, Rules, collect
from dolmen.store.roots import Lease, Needs, union
from dolmen.store.running import trees_in_use
from dolmen.support.clock import wall
from dolmen.support.errors import DolmenError
from dolmen.support.events import Emit, Notice, ignore
from dolmen.support.locking import DEFAULT_TIMEOUT

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go. Ages are seconds; `older_than` and `keep` both None: no generation goes.

    `keep`: the newest so many generations of each directory stay, whatever their age. `free`: stop
    giving up generations, oldest first, once so many bytes will be freed. `grace`: of what is
    cheap to make again. `dead_roots`: of directories that are gone. `shells`: of ad-hoc
    environments. `quarantine`: of what repairs have replaced. `images`: of images that no
    generation has. `only`: give up generations of this directory alone.
    """

    older_than: float | None = None
    keep: int | None = None
    free: int | None = None
    grace: float = 7 * DAY
    dead_roots: float = 30 * DAY
    shells: float = EXPIRY_SECONDS
    quarantine: float = 30 * DAY
    keep_debs: bool = True
    images: float = 0.0
    only: Path | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A generation that is given up."""

    directory: Path
    generation: Generation


@dataclass(frozen=True, slots=True)
class Kept:
    """A generation that policy would give up, and the reason that it stays."""

    directory: Path
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection did, or would do."""

    generations: tuple[Given, ...]
    kept: tuple[Kept, ...]
    shells: tuple[Path, ...]
    roots: tuple[Path, ...]
    collected: Collected
    dry_run: bool

    @property
    def freed(self) -> int:
        """Bytes on disk."""
        return self.collected.freed


def collect_garbage(
    store: Store,
    policy: Policy,
    *,
    dry_run: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    emit: Emit = ignore,
) -> Collection:
    """Give up what policy says, then remove what nobody needs any more.

    May be interrupted at any time and typed again. `dry_run` changes nothing at all. Raises
    BusyError where installs keep the store for more than `timeout` seconds.
    """
    directories = store.roots()
    running = trees_in_use()
    given, kept = _choose(store, directories, policy, running)
    if not dry_run:
        given = tuple(one for one in given if _give_up(one, emit))
    shells = _shells(store, policy, dry_run, emit)
    if not dry_run:
        _sweep(directories)
    with store.locked("store", shared=dry_run, timeout=timeout, emit=emit):
        # Again: directories may have come, and generations that we chose may be live by now.
        gone = {(one.directory, one.generation.number) for one in given} if dry_run else set()
        needs, dead = _needs(store, policy, dry_run, gone, skipped=shells if dry_run else ())
        collected = collect(
            store.path,
            needs,
            Rules(policy.grace, policy.quarantine, policy.keep_debs, policy.images),
            in_use=trees_in_use,
            dry_run=dry_run,
            emit=emit,
        )
    _prune_indexes(store, collected, dry_run)
    return Collection(given, kept, shells, dead, collected, dry_run)


def _choose(
    store: Store, directories: Iterable[Path], policy: Policy, running: frozenset[str]
) -> tuple[tuple[Given, ...], tuple[Kept, ...]]:
    given: list[Given] = []
    kept: list[Kept] = []
    if policy.older_than is None and policy.keep is None and policy.free is None:
        return (), ()
    for directory in directories:
        if policy.only not in (None, directory):
            continue
        environment = Environment(directory)
        with contextlib.suppress(DolmenError, OSError):
            environment.check(explicit=True)
            for number in _beyond(environment, policy):
                record = generations.read(environment, number)
                why = _why_not(environment, record.generation, running)
                if why is None:
                    given.append(Given(directory, record.generation))
                else:
                    kept.append(Kept(directory, number, why))
    given.sort(key=lambda one: (one.generation.created, str(one.directory), one.generation.number))
    if policy.free is not None:
        given = _enough(store, directories, given, policy.free)
    return tuple(given), tuple(kept)


def _beyond(environment: Environment, policy: Policy) -> tuple[int, ...]:
    """The numbers that age and count give up; order is by number, as clocks may jump."""
    numbers = generations.numbers(environment)
    if policy.keep is not None:
        numbers = numbers[: max(0, len(numbers) - policy.keep)]
    if policy.older_than is not None:
        numbers = tuple(n for n in numbers if _age(environment, n) > policy.older_than)
    live = generations.current_number(environment)
    return tuple(number for number in numbers if number != live)


def _age(environment: Environment, number: int) -> float:
    created = generations.read(environment, number).generation.created
    try:
        return wall() - datetime.fromisoformat(created).timestamp()
    except ValueError:
        return 0.0


def _why_not(
    environment: Environment, generation: Generation, running: frozenset[str]
) -> str | None:
    if generation.pinned:
        return "pinned"
    if generation.name:
        return f"named {generation.name}"
    if generation.number == generations.previous_number(environment):
        return "rollback goes there"
    if generation.image in running:
        return "in use"
    return None


def _enough(
    store: Store, directories: Iterable[Path], given: list[Given], wanted: int
) -> list[Given]:
    """As many, oldest first, as free so many bytes: each what no other image has."""
    inventory = store.inventory()
    users: dict[str, set[tuple[Path, int]]] = {}
    for directory in directories:
        environment = Environment(directory)
        with contextlib.suppress(OSError):
            for number in generations.numbers(environment):
                with contextlib.suppress(DolmenError):
                    image = str(generations.read(environment, number).generation.image)
                    users.setdefault(image, set()).add((directory, number))
    objects: dict[str, set[tuple[str, str]]] = {}
    holders: dict[tuple[str, str], int] = {}
    for image in users:
        commit = store.resolve(f"image/{image}")
        objects[image] = inventory.reach([commit] if commit else [])
        for name in objects[image]:
            holders[name] = holders.get(name, 0) + 1
    freed = 0
    chosen: list[Given] = []
    for one in given:
        if freed >= wanted:
            break
        chosen.append(one)
        image = str(one.generation.image)
        users[image].discard((one.directory, one.generation.number))
        if not users[image]:
            for name in objects[image]:
                holders[name] -= 1
                freed += inventory.size(name) if holders[name] == 0 else 0
    return chosen


def _give_up(one: Given, emit: Emit) -> bool:
    """Remove a generation, unless it has become live, pinned or named in the meantime."""
    environment = Environment(one.directory)
    number = one.generation.number
    try:
        with environment.held(emit):
            now = generations.read(environment, number).generation
            live = generations.current_number(environment)
            if number == live or now.pinned or now.name:
                return False
            generations.remove(environment, number)
            with contextlib.suppress(OSError):  # a full disk, which is why we are here
                generations.note(environment, "gc", f"removed {number}")
    except (DolmenError, OSError) as error:
        emit(Notice(f"generation {number} of {one.directory} stays: {error}", level="warning"))
        return False
    return True


def _sweep(directories: Iterable[Path]) -> None:
    """What killed commands left in the directories themselves; not where one is at work."""
    for directory in directories:
        environment = Environment(directory)
        with contextlib.suppress(DolmenError, OSError):
            environment.check(explicit=True)
            if environment.generations.is_dir():
                with environment.held(timeout=0.0):
                    generations.sweep(environment)


def _shells(store: Store, policy: Policy, dry_run: bool, emit: Emit) -> tuple[Path, ...]:
    if dry_run or not (store.path / "shells").is_dir():
        return expired(store.path / "shells", policy.shells)
    return expire_held(Rooms(store.path), age=policy.shells, emit=emit)


def _needs(
    store: Store,
    policy: Policy,
    dry_run: bool,
    gone: set[tuple[Path, int]],
    *,
    skipped: tuple[Path, ...],
) -> tuple[Needs, tuple[Path, ...]]:
    """What all roots need, and the roots whose lease has run out."""
    reader = NeedsReader()
    found: list[Needs] = []
    dead: list[Path] = []
    for directory in store.roots():
        if directory in skipped:
            continue
        needs = reader.of_directory(directory)
        if needs is not None:
            if not dry_run:
                _remember(store, directory, Lease(needs))
            elif any(path == directory for path, _ in gone):
                environment = Environment(directory)
                needs = union(
                    reader.of_generation(environment, number)
                    for number in generations.numbers(environment)
                    if (directory, number) not in gone
                )
            found.append(needs)
            continue
        lease = store.read_lease(directory)
        since = wall() if lease.missing is None else lease.missing
        if lease.missing is None and not dry_run:
            _remember(store, directory, replace(lease, missing=since))
        if wall() - since >= policy.dead_roots:
            dead.append(directory)
            if not dry_run:
                store.remove_root(directory)
        else:
            found.append(lease.needs)
    return union(found), tuple(dead)


def _remember(store: Store, directory: Path, lease: Lease) -> None:
    # On a full disk this waits for the next time; what is remembered then is merely too much.
    with contextlib.suppress(OSError):
        store.write_lease(directory, lease)


def _prune_indexes(store: Store, collected: Collected, dry_run: bool) -> None:
    if not dry_run:
        from dolmen.archive import prune

        with contextlib.suppress(OSError):
            size = prune(store.archive)
            if size:
                collected.add("indexes", size)
