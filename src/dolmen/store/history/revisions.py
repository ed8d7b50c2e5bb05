"""Commits of a repository that libostree has open; see `store.repo.commits`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gi.repository import OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.repo import commits
from dolmen.store.repo.commits import Commit as Commit
from dolmen.support.errors import StoreError


def resolve(history: History, revision: str) -> str:
    """The commit that a name stands for; see `commits.resolve`."""
    return commits.resolve(history.files, revision)


def load(history: History, checksum: str) -> Commit:
    """Read a commit by its checksum; raises StoreError ("object-missing")."""
    try:
        return commits.load(history.files, checksum)
    except StoreError as error:
        if error.reason != "object-missing":
            raise
        # A transaction of libostree's may hold it back still.
        return Commit(checksum, bytes(variant(history, checksum).get_data_as_bytes().get_data()))


def variant(history: History, checksum: str) -> Any:
    """A commit as libostree's variant."""
    with told():
        return history.repo.load_variant(OSTree.ObjectType.COMMIT, checksum)[1]


def log(history: History, revision: str) -> Iterator[Commit]:
    """The commit and all before it that are here, newest first; see `commits.history`."""
    return commits.history(history.files, resolve(history, revision))


def metadata(history: History, checksum: str, *, detached: bool = False) -> dict[str, Any]:
    """A commit's metadata by key, values in GVariant's own text (`'a'`, `uint64 1`)."""
    if detached:
        with told():
            found = history.repo.read_commit_detached_metadata(checksum, None)[1]
    else:
        found = variant(history, checksum).get_child_value(0)
    if found is None:
        return {}
    pairs = (found.get_child_value(i) for i in range(found.n_children()))
    return {
        pair.get_child_value(0).get_string(): pair.get_child_value(1).get_variant()
        for pair in pairs
    }
