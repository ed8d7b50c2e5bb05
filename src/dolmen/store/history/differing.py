"""What differs between two trees, in a repository that libostree has open."""

from __future__ import annotations

from dolmen.store.history.repository import History
from dolmen.store.repo import differing
from dolmen.store.repo.differing import Difference as Difference
from dolmen.store.repo.differing import Directory as Directory


def compare(
    history: History,
    before: str,
    after: str,
    *,
    uid: int | None = None,
    gid: int | None = None,
    xattrs: bool = True,
) -> tuple[differing.Side, differing.Side, list[Difference]]:
    """As `store.repo.differing.compare`."""
    return differing.compare(history.files, before, after, uid=uid, gid=gid, xattrs=xattrs)
