"""Builds a lock's image again, from the .debs alone and in other conditions, and compares.

The second build has a store of its own, on another file system where there is one (tmpfs), at a
path of another length, under another umask and host name, on one processor, with an environment
variable that no script should look at; nothing of the first build but the .debs is reused.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.image.build import Conditions, build
from dolmen.model import Lock
from dolmen.store import Image, Store
from dolmen.support.clock import monotonic
from dolmen.support.errors import StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore
from dolmen.support.files import remove_tree

_MEMORY = Path("/dev/shm")
#: Bytes of a tree per byte of its .debs, and the least that must be free, for the choice of tmpfs.
_GROWTH, _RESERVE = 12, 1 << 30


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that differs: "only in first", "only in second", "content", "mode" or "kind"."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Two builds of one lock and where they differ."""

    first: Image
    second: Image
    differences: tuple[Difference, ...]

    @property
    def reproducible(self) -> bool:
        """Whether both are the same, bit for bit."""
        return self.first.root == self.second.root


def verify(lock: Lock, store: Store, *, emit: Emit = ignore) -> Verification:
    """Build twice and compare. Raises what `build` raises."""
    began = monotonic()
    first = build(lock, store, emit=emit)
    emit(PhaseStarted(Phase.VERIFY, len(lock.packages)))
    with _elsewhere(lock, store) as directory, _other_conditions():
        again = Store.open(directory / "store")
        _share_debs(store, again, lock)
        second = build(
            lock,
            again,
            emit=emit,
            conditions=Conditions({"DOLMEN_VERIFY_NOISE": str(directory)}, hostname="elsewhere"),
        )
        differences = () if first.root == second.root else compare(store, first, again, second)
    emit(PhaseFinished(Phase.VERIFY, len(lock.packages), monotonic() - began))
    return Verification(first, second, differences)


def compare(store: Store, first: Image, other: Store, second: Image) -> tuple[Difference, ...]:
    """All paths in which two images differ, sorted."""
    left = {entry.path: entry for entry in store.walk(first.commit)}
    right = {entry.path: entry for entry in other.walk(second.commit)}
    found: list[Difference] = []
    for path in sorted({*left, *right}):
        one, two = left.get(path), right.get(path)
        if one is None or two is None:
            found.append(Difference(path, "only in second" if one is None else "only in first"))
        elif one.kind != two.kind:
            found.append(Difference(path, "kind"))
        elif one.mode != two.mode:
            found.append(Difference(path, "mode"))
        elif one.kind != "d" and (one.checksum, one.target) != (two.checksum, two.target):
            found.append(Difference(path, "content"))
    return tuple(found)


@contextlib.contextmanager
def _elsewhere(lock: Lock, store: Store) -> Iterator[Path]:
    need = sum(p.size for p in lock.packages) * _GROWTH + _RESERVE
    parent = store.tmp
    with contextlib.suppress(OSError):
        free = os.statvfs(_MEMORY)
        if free.f_bavail * free.f_frsize > need and _has_user_attributes(_MEMORY):
            parent = _MEMORY
    directory = Path(tempfile.mkdtemp(prefix="dolmen-verify-in-another-place-", dir=parent))
    try:
        yield directory
    finally:
        remove_tree(directory)


def _has_user_attributes(directory: Path) -> bool:
    with tempfile.NamedTemporaryFile(dir=directory) as probe:
        try:
            os.setxattr(probe.name, "user.dolmen", b"1")
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _other_conditions() -> Iterator[None]:
    processors = os.sched_getaffinity(0)
    umask = os.umask(0o077)
    os.sched_setaffinity(0, {min(processors)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)
        os.umask(umask)


def _share_debs(store: Store, other: Store, lock: Lock) -> None:
    """Give the second build the .debs that are here; it checks their digests itself."""
    for package in lock.packages:
        source = store.debs / f"{package.sha256}.deb"
        if source.exists():
            try:
                (other.debs / source.name).symlink_to(source)
            except OSError as error:
                raise StoreError(f"cannot use {source}: {error.strerror}") from None
