"""Throwing away what no ref needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gi.repository import OSTree

from dolmen.store.history.references import refs
from dolmen.store.history.repository import History
from dolmen.store.history.revisions import log, resolve
from dolmen.support.errors import StoreError, UsageError

_COMMIT = OSTree.ObjectType.COMMIT


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went: objects that there were, that are gone (or would be), and their bytes."""

    total: int
    pruned: int
    freed: int


def prune(
    history: History,
    *,
    refs_only: bool = False,
    depth: int = -1,
    dry_run: bool = False,
    delete_commit: str | None = None,
    younger_than: int | None = None,
    only: Sequence[str] = (),
    retain: Mapping[str, int] | None = None,
) -> Pruned:
    """Delete objects that no ref (or, without `refs_only`, no commit) reaches.

    `depth`: how many parents of a ref's commit stay, -1 for all. `delete_commit` goes first.
    `younger_than`: parents from then on (seconds of UTC) stay as well. `only`: branches that are
    shortened so, others stay whole; `retain`: branches that have a depth of their own.
    Raises StoreError ("store-own", "no-revision", "ref-needs").
    """
    history.refuse_collecting()
    flags = OSTree.RepoPruneFlags.NONE
    if refs_only:
        flags |= OSTree.RepoPruneFlags.REFS_ONLY
    if dry_run:
        flags |= OSTree.RepoPruneFlags.NO_PRUNE
    with history.changing() as repo:
        if delete_commit is not None:
            checksum = resolve(history, delete_commit)
            for name, named in refs(history).items():
                if named == checksum:
                    raise StoreError(
                        f"Commit '{checksum}' is referenced by '{name}'",
                        reason="ref-needs",
                        hint=f"dolmen store refs --delete {name}",
                    )
            if not dry_run:
                repo.delete_object(_COMMIT, checksum, None)
        total = 0
        if younger_than is not None or only or retain:
            if dry_run:
                raise UsageError(
                    "--no-prune is for --depth and --refs-only", hint="dolmen store prune --help"
                )
            total = _shorten(history, depth, younger_than, only, retain or {})
            # What is left of the commits is wanted, each of them.
            flags, depth = OSTree.RepoPruneFlags.NONE, -1
        _, left, pruned, freed = repo.prune(flags, depth, None)
    return Pruned(total + left, total + pruned, freed)


def _shorten(
    history: History,
    depth: int,
    younger_than: int | None,
    only: Sequence[str],
    retain: Mapping[str, int],
) -> int:
    """Delete the commits that the rules leave to nobody; how many."""
    named = refs(history)
    for name in (*only, *retain):
        if name not in named:
            raise StoreError(
                f"Refspec '{name}' not found", reason="no-revision", hint="dolmen store refs"
            )
    kept: set[str] = set()
    for name in named:
        reach, since = depth, younger_than
        if name in retain:
            reach, since = retain[name], None
        elif only and name not in only:
            reach, since = -1, None
        elif since is not None and depth < 0:
            reach = 0
        for number, found in enumerate(log(history, name)):
            young = since is not None and found.timestamp >= since
            if number and not young and 0 <= reach < number:
                break
            kept.add(found.checksum)
    listed = history.repo.list_objects(OSTree.RepoListObjectsFlags.ALL, None)[1]
    commits = {name for name, kind in (k.unpack() for k in listed) if kind == int(_COMMIT)}
    for checksum in sorted(commits - kept):
        history.repo.delete_object(_COMMIT, checksum, None)
    return len(commits - kept)
