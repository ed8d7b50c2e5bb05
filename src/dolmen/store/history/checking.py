"""Checking that every object is there and is what its name says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gi.repository import GLib, OSTree

from dolmen.store.history.references import refs
from dolmen.store.history.repository import History, told

_COMMIT = OSTree.ObjectType.COMMIT
_KINDS = {1: "file", 2: "dirtree", 3: "dirmeta", 4: "commit"}
#: More than two only wait for the disk.
_WORKERS = min(4, os.cpu_count() or 1)
_BATCH = 64
_OBJECT = re.compile(r"([0-9a-f]{64})\.(file|dirtree|dirmeta|commit)")
_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Damage:
    """One object that is missing or not what its name says, and the commits that suffer."""

    checksum: str
    kind: str
    missing: bool
    message: str
    commits: tuple[str, ...]

    @property
    def line(self) -> str:
        """As `ostree fsck` says it."""
        if self.missing:
            return f"Object missing: {self.checksum}.{self.kind}"
        return f"In commits {', '.join(self.commits)}: {self.message}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    `partial`: commits that lack something by intent (a pull of a part); `broken`: commits that lack
    something because an earlier check found it damaged or gone. `bad_refs` tells of refs
    whose commit is not here.
    """

    commits: int
    objects: int
    partial: int
    broken: tuple[str, ...]
    damages: tuple[Damage, ...]
    bad_refs: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.damages or self.bad_refs or self.broken)


def fsck(
    history: History,
    *,
    delete: bool = False,
    whole: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Check every object that a commit reaches, on all cores.

    Stops at the first damaged object unless `whole` or `delete`; `delete` takes damaged objects
    away. Commits that lack something are marked, so that a pull fetches it again and the next check
    tells them until then. Raises StoreError ("store-failed").
    """
    repo = history.repo
    with told():
        bad_refs = tuple(_bad_refs(history))
        listed = repo.list_objects(OSTree.RepoListObjectsFlags.ALL, None)[1]
    commits = sorted(name for name, kind in (k.unpack() for k in listed) if kind == int(_COMMIT))
    partial: list[str] = []
    broken: list[str] = []
    damages: list[Damage] = []
    needing: dict[_Key, list[str]] = {}
    for name in commits:
        try:
            # Before its words are believed: a commit that is not what its name says leads nowhere.
            repo.fsck_object(_COMMIT, name, None)
            state = int(repo.load_commit(name)[2])
            if state & int(OSTree.RepoCommitState.PARTIAL):
                fsck_partial = state & int(OSTree.RepoCommitState.FSCK_PARTIAL)
                (broken if fsck_partial else partial).append(name)
                continue
            for key in repo.traverse_commit(name, 0, None)[1]:
                needing.setdefault(key.unpack(), []).append(name)
        except GLib.Error as error:
            needing.setdefault((name, int(_COMMIT)), []).append(name)
            found = _OBJECT.search(error.message)
            object_, kind = (found[1], found[2]) if found else (name, "commit")
            damages.append(Damage(object_, kind, _is_missing(error), error.message, (name,)))
    if whole or delete or not damages:
        told_already = {(damage.checksum, damage.kind) for damage in damages}
        damages += [
            damage
            for damage in _check(history, needing, whole or delete, progress)
            if (damage.checksum, damage.kind) not in told_already
        ]
    with told():
        _mark(history, damages, delete)
    return Checked(
        len(commits), len(needing), len(partial), tuple(broken), tuple(damages), bad_refs
    )


def _mark(history: History, damages: list[Damage], delete: bool) -> None:
    for damage in damages:
        if not delete and not damage.missing:
            continue
        kind = next(number for number, text in _KINDS.items() if text == damage.kind)
        has = history.repo.has_object(OSTree.ObjectType(kind), damage.checksum, None)[1]
        if delete and not damage.missing and has:
            history.repo.delete_object(OSTree.ObjectType(kind), damage.checksum, None)
        for name in damage.commits:
            if (damage.checksum, damage.kind) != (name, "commit"):
                state = OSTree.RepoCommitState.FSCK_PARTIAL
                history.repo.mark_commit_partial_reason(name, True, state)


def _bad_refs(history: History) -> Iterator[str]:
    for name, checksum in refs(history).items():
        if not history.repo.has_object(_COMMIT, checksum, None)[1]:
            yield f"Loading commit for ref {name}: No such metadata object {checksum}.commit"


def _is_missing(error: GLib.Error) -> bool:
    return (error.domain, error.code) == ("g-io-error-quark", 1)


def _check(
    history: History,
    needing: dict[_Key, list[str]],
    whole: bool,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Damage]:
    keys = sorted(needing)

    def check(batch: list[_Key]) -> list[tuple[_Key, bool, str]]:
        # The interpreter's lock is let go while libostree reads and hashes.
        found = []
        for name, kind in batch:
            try:
                history.repo.fsck_object(OSTree.ObjectType(kind), name, None)
            except GLib.Error as error:
                found.append(((name, kind), _is_missing(error), error.message))
        return found

    batches = [keys[i : i + _BATCH] for i in range(0, len(keys), _BATCH)]
    done = 0
    with ThreadPoolExecutor(_WORKERS) as workers:
        for batch, found in zip(batches, workers.map(check, batches), strict=True):
            done += len(batch)
            if progress is not None:
                progress(done, len(keys))
            for (name, kind), missing, message in found:
                commits = tuple(needing[name, kind])
                yield Damage(name, _KINDS.get(kind, "file"), missing, message, commits)
            if not whole and any(not missing for _, missing, _ in found):
                workers.shutdown(cancel_futures=True)
                return
