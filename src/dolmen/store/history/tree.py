"""Committed trees, of a repository that libostree has open."""

from __future__ import annotations

from dolmen.store.history.repository import History
from dolmen.store.repo.tree import Entry as Entry
from dolmen.store.repo.tree import Tree as _Tree


class Tree(_Tree):
    """The tree of one commit; see `store.repo.tree`."""

    def __init__(self, history: History, checksum: str) -> None:
        super().__init__(history.files, checksum)
