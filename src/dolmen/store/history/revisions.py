"""Commits: how they are named, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.repository import History, told
from dolmen.support.errors import StoreError

_SUFFIX = re.compile(r"(?:\^|~\d*)+$")
_STEP = re.compile(r"\^|~(\d*)")


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit says; `timestamp` in seconds of UTC, `content` as ContentChecksum."""

    checksum: str
    parent: str | None
    content: str
    timestamp: int
    subject: str
    body: str
    version: str | None
    tree: str
    meta: str


def resolve(history: History, revision: str) -> str:
    """The commit that a revision names: ref, checksum, unambiguous prefix, each with ^ and ~N.

    Raises StoreError ("no-revision", "object-missing").
    """
    suffix = _SUFFIX.search(revision)
    base = revision[: suffix.start()] if suffix else revision
    if not base:
        raise StoreError(f"Invalid rev '{revision}'", reason="no-revision", hint=_HINT)
    with told():
        checksum: str = history.repo.resolve_rev(base, False)[1]
        for step in _STEP.finditer(suffix.group() if suffix else ""):
            for _ in range(int(step[1] or 1) if step[0] != "^" else 1):
                parent = OSTree.commit_get_parent(variant(history, checksum))
                if parent is None:
                    raise StoreError(
                        f"Commit {checksum} has no parent",
                        reason="no-revision",
                        hint=f"dolmen store log {base}",
                    )
                checksum = parent
    return checksum


_HINT = "dolmen store refs"


def variant(history: History, checksum: str) -> Any:
    """A commit as libostree's variant."""
    with told():
        return history.repo.load_variant(OSTree.ObjectType.COMMIT, checksum)[1]


def load(history: History, checksum: str) -> Commit:
    """Read a commit by its checksum; raises StoreError ("object-missing")."""
    found = variant(history, checksum)
    version = found.get_child_value(0).lookup_value("version", GLib.VariantType("s"))
    return Commit(
        checksum,
        OSTree.commit_get_parent(found),
        OSTree.commit_get_content_checksum(found),
        OSTree.commit_get_timestamp(found),
        found.get_child_value(3).get_string(),
        found.get_child_value(4).get_string(),
        version.get_string() if version is not None else None,
        bytes(found.get_child_value(6).get_data_as_bytes().get_data()).hex(),
        bytes(found.get_child_value(7).get_data_as_bytes().get_data()).hex(),
    )


def log(history: History, revision: str) -> Iterator[Commit]:
    """The commit and all before it that are here, newest first.

    A parent that is not here (a shallow pull, a prune) is told by the last one's `parent`.
    """
    commit = load(history, resolve(history, revision))
    yield commit
    while commit.parent is not None:
        with told():
            if not history.repo.has_object(OSTree.ObjectType.COMMIT, commit.parent, None)[1]:
                return
        commit = load(history, commit.parent)
        yield commit


def raw(history: History, checksum: str) -> str:
    """A commit as `ostree show --raw` prints it: numbers in the machine's own order."""
    return variant(history, checksum).byteswap().print_(True)  # type: ignore[no-any-return]


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


def metadata_text(value: Any, *, swap: bool = False) -> str:
    """A value of `metadata` in GVariant's own text."""
    return (value.byteswap() if swap else value).print_(True)  # type: ignore[no-any-return]


def related(history: History, checksum: str) -> list[tuple[str, str]]:
    """The commits that a commit says are related: (name, checksum)."""
    found = variant(history, checksum).get_child_value(2)
    rows = (found.get_child_value(i) for i in range(found.n_children()))
    return [
        (
            row.get_child_value(0).get_string(),
            bytes(row.get_child_value(1).get_data_as_bytes().get_data()).hex(),
        )
        for row in rows
    ]


def sole_commit(history: History) -> str:
    """The only commit of a repository; raises StoreError ("no-revision") if there are others."""
    with told():
        flags = OSTree.RepoListObjectsFlags
        objects = history.repo.list_objects(flags.ALL, None)[1]
    commits = [name for name, kind in (key.unpack() for key in objects) if kind == 4]
    if len(commits) != 1:
        words = "Multiple commit objects" if commits else "No commit objects"
        raise StoreError(f"{words} found", reason="no-revision", hint=_HINT)
    return str(commits[0])
