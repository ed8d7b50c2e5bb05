"""Trees in layers: a branch on which a tree stands above the one that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gi.repository import GLib, OSTree

from dolmen.model import Sha256
from dolmen.store.history.committing import Committed
from dolmen.store.history.recording import record
from dolmen.store.history.references import refs
from dolmen.store.history.repository import History
from dolmen.store.history.revisions import Commit, load, log, metadata, resolve
from dolmen.support.errors import StoreError

_Pair = tuple[Sha256, Sha256]


@dataclass(frozen=True, slots=True)
class Stacked:
    """A commit with its texts, and the history in which what lies below it is found."""

    history: History
    revision: str
    tree: _Pair
    strings: Mapping[str, str]

    def base(self, content: str) -> _Pair:
        """The tree with that content checksum, from the history of the commit.

        Raises StoreError ("object-missing") where the history does not reach back so far.
        """
        for commit in log(self.history, self.revision):
            if commit.content == content:
                return _pair(commit)
        raise StoreError(
            f"the image {content} below {self.revision} is not here: it was fetched without its "
            "history",
            reason="object-missing",
            hint="fetch it again with: --depth=-1",
        )


def stack(
    history: History,
    branch: str,
    below: str,
    above: str,
    *,
    subject: str,
    body: str | None = None,
    timestamp: int | None = None,
    strings: Mapping[str, str],
) -> Committed:
    """Commit the tree of the commit `above` to a branch in whose history that of `below` is.

    Where it is not, it is committed first. All of it or nothing; no commit is made where the branch
    has that very tree and those texts. Raises StoreError.
    """
    base, whole = load(history, below), load(history, above)
    there = branch in refs(history)
    tip = resolve(history, branch) if there else None
    found = {key: GLib.Variant("s", value) for key, value in strings.items()}
    if tip is not None:
        last = load(history, tip)
        if _pair(last) == _pair(whole) and _texts(history, tip, strings) == dict(strings):
            return Committed(tip, False, last.parent)
    with history.transaction():
        parent = tip
        commits = log(history, tip) if tip is not None else iter(())
        if all(commit.content != base.content for commit in commits):
            parent = record(
                history,
                _pair(base),
                branch=None,
                parent=tip,
                subject=f"Image {base.content}",
                timestamp=timestamp,
            )
        checksum = record(
            history,
            _pair(whole),
            branch=branch,
            parent=parent,
            subject=subject,
            body=body,
            timestamp=timestamp,
            metadata=found,
        )
    return Committed(checksum, True, parent)


def read_stack(history: History, revision: str, key: str) -> Stacked:
    """Read a commit that has the text `key`; raises StoreError ("no-revision", "not-a-trial")."""
    checksum = resolve(history, revision)
    strings = {
        name: value.get_string()
        for name, value in metadata(history, checksum).items()
        if value.get_type_string() == "s"
    }
    if key not in strings:
        raise StoreError(
            f"{revision} is no commit of a trial",
            reason="not-a-trial",
            hint="dolmen store refs --list trial/",
        )
    if history.repo.load_commit(checksum)[2] & OSTree.RepoCommitState.PARTIAL:
        raise StoreError(
            f"{revision} was fetched only in part",
            reason="object-missing",
            hint="fetch it again, whole",
        )
    return Stacked(history, revision, _pair(load(history, checksum)), strings)


def _texts(history: History, checksum: str, wanted: Mapping[str, str]) -> dict[str, str]:
    found = metadata(history, checksum)
    return {key: found[key].get_string() for key in wanted if key in found}


def _pair(commit: Commit) -> _Pair:
    return Sha256(commit.tree), Sha256(commit.meta)
