"""Throwing away what no ref needs."""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import OSTree

from dolmen.store.history.references import refs
from dolmen.store.history.repository import History
from dolmen.store.history.revisions import resolve
from dolmen.support.errors import StoreError

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
) -> Pruned:
    """Delete objects that no ref (or, without `refs_only`, no commit) reaches.

    `depth`: how many parents of a ref's commit stay, -1 for all. `delete_commit` goes first.
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
        _, total, pruned, freed = repo.prune(flags, depth, None)
    return Pruned(total, pruned, freed)
