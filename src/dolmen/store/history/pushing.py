"""Moving refs of a repository forward to commits that came from elsewhere, and local pushes.

libostree has no push. Objects come first and are checked against their names; the refs move last,
under a lock, and only forward: what a ref named before must be in the history of what it names
then, unless the caller insists.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gi.repository import OSTree

from dolmen.store.collect import OURS
from dolmen.store.history.pulling import pull_local
from dolmen.store.history.references import refs
from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import resolve
from dolmen.support.errors import StoreError, UsageError
from dolmen.support.locking import locked

_COMMIT = OSTree.ObjectType.COMMIT
_LOCK = "dolmen.lock"


@dataclass(frozen=True, slots=True)
class Update:
    """A ref and the commits that it names before and after; `forced`: not a step forward."""

    ref: str
    before: str | None
    after: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did, or would do. `objects`: how many were sent (local: not known)."""

    updates: tuple[Update, ...]
    unchanged: tuple[str, ...]
    objects: int | None = None
    size: int | None = None
    dry_run: bool = False


@contextlib.contextmanager
def guarded(history: History) -> Iterator[None]:
    """Hold the lock under which refs are compared and moved; one pusher at a time."""
    with told(), locked(history.path / _LOCK, what="the refs of the repository"):
        yield


def wanted_refs(history: History, names: Sequence[str]) -> dict[str, str]:
    """The refs to push with their commits: those named, or all local ones that are not the store's.

    Raises StoreError ("no-revision", "ref-reserved"), UsageError ("usage") where there is none.
    """
    if names:
        for name in names:
            history.refuse_ours(name)
            if name not in refs(history):
                raise StoreError(
                    f"Refspec '{name}' not found", reason="no-revision", hint="dolmen store refs"
                )
        return {name: resolve(history, name) for name in names}
    own = history.owner is not None
    found = {
        name: checksum
        for name, checksum in refs(history).items()
        if ":" not in name and not (own and name.split("/")[0] in OURS)
    }
    if not found:
        raise UsageError("there is no ref to push", hint="dolmen store refs")
    return found


def plan(
    history: History, there: Mapping[str, str], wanted: Mapping[str, str], *, force: bool
) -> tuple[list[Update], list[str]]:
    """How refs move from `there` to `wanted`, and which need not; `history` knows the commits.

    Raises StoreError ("not-fast-forward").
    """
    moves: list[Update] = []
    same: list[str] = []
    for name, after in wanted.items():
        before = there.get(name)
        if before == after:
            same.append(name)
            continue
        forward = before is None or is_ancestor(history, before, after)
        if not forward and not force:
            raise StoreError(
                f"{name} there names {(before or '')[:12]}, which is not in the history of "
                f"{after[:12]}",
                reason="not-fast-forward",
                hint="fetch it and build upon it, or insist: --force",
            )
        moves.append(Update(name, before, after, not forward))
    return moves, same


def is_ancestor(history: History, before: str, after: str) -> bool:
    """Whether a commit is in the history of another, as far as that is here."""
    here: str | None = after
    while here is not None:
        if here == before:
            return True
        if not history.repo.has_object(_COMMIT, here, None)[1]:
            return False
        here = parent_of(history, here)
    return False


def parent_of(history: History, commit: str) -> str | None:
    """The commit before one, also where it is not finished yet."""
    found: str | None = OSTree.commit_get_parent(history.repo.load_variant(_COMMIT, commit)[1])
    return found


def move(history: History, moves: Sequence[Update]) -> None:
    """Let refs name other commits, durably; each is the old one or the new one at any time."""
    if moves:
        with history.transaction() as repo:
            for update in moves:
                repo.transaction_set_ref(None, update.ref, update.after)


def updates(history: History, wanted: Mapping[str, str], *, force: bool) -> list[Update]:
    """Plan and move, for commits that are here already; to be called under `guarded`."""
    for name in wanted:
        history.refuse_ours(name)
    moves, _ = plan(history, refs(history), wanted, force=force)
    move(history, moves)
    return moves


def push_local(
    source: History,
    target: History,
    names: Sequence[str] = (),
    *,
    force: bool = False,
    depth: int = -1,
    trusted: bool = False,
    dry_run: bool = False,
) -> Pushed:
    """Push refs (default: all) into another repository of this machine, with `depth` parents.

    Only what is missing there is copied. Objects are checked while they are (not with `trusted`,
    which makes hard links where it can). Raises StoreError ("not-fast-forward", "no-revision",
    "ref-reserved", "object-damaged", …).
    """
    wanted = wanted_refs(source, names)
    for name in wanted:
        target.refuse_ours(name)
    moves, same = plan(source, refs(target), wanted, force=force)
    if not dry_run:
        # What has not moved, too: a signature may have been added.
        commits = list(dict.fromkeys(wanted.values()))
        pull_local(target, source.path, commits, depth=depth, untrusted=not trusted)
        with guarded(target):
            moves, same = plan(source, refs(target), wanted, force=force)
            move(target, moves)
    return Pushed(tuple(moves), tuple(same), dry_run=dry_run)
