"""Garbage collection: what nobody needs goes, in the reverse order of how it was made.

An image is made as objects, commit, ref, realised tree, pointer; so the tree is taken from its name
first (one rename), then the pointer, then the ref, and only when these are durable the objects,
commits before what they point at. A kill anywhere leaves a store that is whole, and garbage for the
next run. Nothing needs room on the disk before something was removed.

The caller holds the store's lock exclusively, so no build, import or checkout is under way: whoever
makes something holds it shared until his work is rooted (`Store.lease`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.store.leftover import HALF_A_REF as HALF_A_REF
from dolmen.store.objects import Objects
from dolmen.store.reserved import OURS as OURS
from dolmen.store.roots import LEASES, Needs
from dolmen.store.running import quarantines_in_use
from dolmen.store.scratch import settled
from dolmen.store.transaction import sync_file_system
from dolmen.store.usage import (
    Inventory,
    all_objects,
    ancestors,
    disk_size,
    own_size,
    whole_size,
)
from dolmen.support.clock import monotonic, wall
from dolmen.support.events import (
    Emit,
    Notice,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
    ignore,
)
from dolmen.support.files import HALF_WRITTEN, remove_tree, sync_directory

#: Commits before what they point at; an object is whole or absent at any moment.
KINDS = ("commit", "commitmeta", "dirtree", "dirmeta", "file")
_GONE = ".gone."
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DEB = re.compile(r"([0-9a-f]{64})\.(?:deb|part)")


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go although nobody needs it only once it is `grace` seconds old: package trees,
    bytecode, .debs and logs. Without `keep_debs` no .deb older than that stays. `quarantine`: the
    age at which goes what repairs have replaced. `images`: the same for images."""

    grace: float = 7 * 86400
    quarantine: float = 30 * 86400
    keep_debs: bool = True
    images: float = 0.0


@dataclass(slots=True)
class Collected:
    """What went, or would go: by kind, how many and how many bytes on disk.

    `in_use`: images without a root that stay because a process runs from them. `damaged`: objects
    that could not be read; then no object was removed at all.
    """

    counts: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    in_use: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def freed(self) -> int:
        """All of it, bytes."""
        return sum(self.sizes.values())

    def add(self, kind: str, size: int) -> None:
        """Count one."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.sizes[kind] = self.sizes.get(kind, 0) + size


def collect(
    store: Path,
    needs: Needs,
    rules: Rules,
    *,
    in_use: Callable[[], frozenset[str]],
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Collected:
    """Remove what is neither needed nor young nor in use; with the store's lock held exclusively.

    `in_use` is asked again once the doomed trees have lost their names: who entered one in between
    gets it back. Raises OSError; what was removed until then is gone, the rest is whole.
    """
    return _Collection(store, needs, rules, in_use, dry_run, emit).run()


class _Collection:
    def __init__(
        self,
        store: Path,
        needs: Needs,
        rules: Rules,
        in_use: Callable[[], frozenset[str]],
        dry_run: bool,
        emit: Emit,
    ) -> None:
        self.store = store
        self.repo = store / "repo"
        self.needs = needs
        self.rules = rules
        self.in_use = in_use
        self.dry_run = dry_run
        self.emit: Emit = emit
        self.now = wall()
        self.found = Collected()
        self.running = in_use()
        self.images = self.kept_images()

    def run(self) -> Collected:
        began = monotonic()
        self.emit(PhaseStarted(Phase.COLLECT))
        # First what has no order and makes room, in case there is none at all.
        self.scratch()
        self.files()
        self.replaced()
        doomed = self.trees()
        refs = self.refs()
        self.pointers()
        kept = {commit for name, commit in refs.items() if not self.may_go(name)}
        objects = Objects(self.repo)
        for name, commit in refs.items():
            if name.split("/")[0] not in OURS:
                # A branch is its history; what is ours has none.
                kept.update(ancestors(objects, commit))
        gone = [name for name in refs if self.may_go(name)]
        for name in gone:
            self.count(name.split("/")[0], self.repo / "refs/heads" / name)
            if not self.dry_run:
                (self.repo / "refs/heads" / name).unlink(missing_ok=True)
        if not self.dry_run and (gone or doomed):
            sync_file_system(self.store)
        self.objects(kept)
        if not self.dry_run:
            for tree in doomed:
                remove_tree(tree)
        count = sum(self.found.counts.values())
        self.emit(PhaseFinished(Phase.COLLECT, count, monotonic() - began, self.found.freed))
        return self.found

    def kept_images(self) -> set[str]:
        images = set(self.needs.images)
        for key in self.needs.keys:
            with contextlib.suppress(OSError):
                images.add(os.path.basename(os.readlink(self.store / "images" / key)))
        for path in _paths(self.repo / "refs/heads/image"):
            if self.now - _changed(path, 0.0) < self.rules.images:
                images.add(path.name)
        present = {n.removeprefix(_GONE) for n in _names(self.store / "trees")}
        running = sorted((self.running & present) - images)
        self.found.in_use = tuple(running)
        return images | set(running)

    def may_go(self, ref: str) -> bool:
        kind, _, name = ref.partition("/")
        if kind not in OURS or not _SHA256.fullmatch(name) or ref in self.needs.refs:
            return False
        if kind == "image":
            return not self.needs.everything and name not in self.images
        return not self.is_young(self.repo / "refs/heads" / ref)

    # The steps

    def scratch(self) -> None:
        """What killed commands left in the quarantine; live ones hold a lock on their directory."""
        with settled(self.store / "tmp"):
            stale = [path for path in _paths(self.store / "tmp") if not is_held(path)]
        for path in stale:
            # A killed build of a system leaves what belongs to subordinate ids: the next one's.
            with contextlib.suppress(PermissionError):
                self.remove("scratch", path)
        # Half-written small files; who writes such holds the store's lock, shared.
        for directory in ("", "roots", LEASES):
            for path in _paths(self.store / directory):
                if HALF_WRITTEN.fullmatch(path.name):
                    self.remove("scratch", path)

    def files(self) -> None:
        """.debs and logs, by name and age."""
        for path in _paths(self.store / "debs"):
            match = _DEB.fullmatch(path.name)
            needed = self.rules.keep_debs and match and f"deb/{match[1]}" in self.needs.refs
            if not needed and not self.is_young(path):
                self.remove("debs", path)
        for path in _paths(self.store / "logs"):
            if path.name.partition(".")[0] not in self.needs.keys and not self.is_young(path):
                self.remove("logs", path)

    def replaced(self) -> None:
        """What repairs have put aside, once it is old; programs that run there keep it."""
        old = [
            path
            for path in quarantines(self.store)
            if self.now - _changed(path, self.now) >= self.rules.quarantine
        ]
        used = quarantines_in_use() if old else frozenset()
        for path in old:
            if path.name not in used:
                self.remove("quarantine", path)

    def trees(self) -> list[Path]:
        """Take the names from trees that nobody needs; returns what is to be deleted last."""
        doomed: list[Path] = []
        for path in _paths(self.store / "trees"):
            checksum = path.name.removeprefix(_GONE)
            kept = checksum in self.images
            if path.name.startswith(_GONE):
                if not kept or (self.store / "trees" / checksum).exists():
                    doomed.append(path)
                elif not self.dry_run:
                    self.give_back(path)  # killed before it could do so itself
            elif not kept and not self.needs.everything:
                gone = path.with_name(f"{_GONE}{checksum}")
                if not self.dry_run:
                    if gone.exists():
                        remove_tree(gone)
                    path.rename(gone)
                doomed.append(path if self.dry_run else gone)
        if doomed and not self.dry_run:
            sync_directory(self.store / "trees")
            for checksum in self.in_use() - self.running:
                path = self.store / "trees" / f"{_GONE}{checksum}"
                if path in doomed:
                    doomed.remove(path)
                    self.give_back(path)
                    self.images.add(checksum)
                    self.found.in_use = (*self.found.in_use, checksum)
        for path in doomed:
            self.count("trees", path, size=own_size(path))
        return doomed

    def give_back(self, gone: Path) -> None:
        # A reader of the tree has no name for it until then, but what is open and bound stays.
        gone.rename(gone.with_name(gone.name.removeprefix(_GONE)))

    def refs(self) -> dict[str, str]:
        """Every ref with its commit; those of other tools (remotes, mirrors) are never removed."""
        found: dict[str, str] = {}
        base = self.repo / "refs"
        for directory, _, names in os.walk(base):
            for name in names:
                path = Path(directory, name)
                relative = str(path.relative_to(base))
                with contextlib.suppress(OSError, UnicodeDecodeError):
                    commit = path.read_text().strip()
                    half = HALF_A_REF.fullmatch(name) and not self.is_young(path)
                    if half:
                        self.remove("scratch", path)
                    elif _SHA256.fullmatch(commit) and not name.startswith("."):
                        found[relative.removeprefix("heads/")] = commit
                    elif name.startswith(".") and not self.is_young(path):
                        self.remove("scratch", path)  # a ref that was never finished
        return found

    def pointers(self) -> None:
        """images/KEY whose image goes, or is gone already."""
        if self.needs.everything:
            return
        for path in _paths(self.store / "images"):
            try:
                root = os.path.basename(os.readlink(path))
            except OSError:
                root = ""
            # One that was never finished has a name with a dot.
            if root not in self.images or path.name.startswith("."):
                self.count("pointers", path)
                if not self.dry_run:
                    path.unlink(missing_ok=True)

    def objects(self, commits: set[str]) -> None:
        """Mark and sweep."""
        inventory = Inventory(Objects(self.repo))
        needed = inventory.reach(commits)
        if inventory.damaged:
            # What a damaged directory held cannot be told from garbage.
            self.found.damaged = tuple(sorted(inventory.damaged))
            self.emit(
                Notice(
                    f"{len(inventory.damaged)} objects of the store are damaged or missing, so no "
                    "object is removed: dolmen repair",
                    level="warning",
                )
            )
            return
        doomed: dict[str, list[str]] = {kind: [] for kind in KINDS}
        total = 0
        for (checksum, kind), path in all_objects(self.repo):
            if kind in doomed and (checksum, kind) not in needed:
                if kind == "commitmeta" and (checksum, "commit") in needed:
                    continue
                doomed[kind].append(path)
                total += 1
        done = 0
        for kind in KINDS:
            for path in doomed[kind]:
                self.count("objects", path)
                if not self.dry_run:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
                done += 1
                if done % 2000 == 0:
                    self.emit(PhaseProgress(Phase.COLLECT, done, total))

    # Helpers

    def is_young(self, path: Path) -> bool:
        # A time in the future (a clock that jumped) counts as young: better kept than lost.
        return self.now - _changed(path, 0.0) < self.rules.grace

    def count(self, kind: str, path: Path | str, *, size: int | None = None) -> None:
        self.found.add(kind, disk_size(path) if size is None else size)

    def remove(self, kind: str, path: Path) -> None:
        is_directory = path.is_dir() and not path.is_symlink()
        self.count(kind, path, size=whole_size(path)[1] if is_directory else None)
        if not self.dry_run:
            remove_tree(path)


def quarantines(store: Path) -> list[Path]:
    """What repairs have put aside, a directory for each repair."""
    return _paths(store / "quarantine")


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _paths(directory: Path) -> list[Path]:
    return [directory / name for name in _names(directory)]


def _changed(path: Path, missing: float) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return missing


def is_held(path: Path) -> bool:
    """Whether some process holds a flock on it (store/scratch.py)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
