"""Undoing what one commit changed, by a new commit on a branch.

Three trees decide, name by name: that of the commit to undo is what both sides began with; one side
is the branch, the other the tree before the commit. Objects are compared by their checksums, so
that what did not change is never read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gi.repository import OSTree

from dolmen.store.history.differing import compare
from dolmen.store.history.recording import record, write_dirtree
from dolmen.store.history.references import refs
from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import load, resolve
from dolmen.store.objects import decode_dirtree
from dolmen.support.errors import StoreError

#: What becomes of a path that was changed again since: nothing at all, or one side's.
CHOICES = ("refuse", "keep", "undo")
_TREE = OSTree.ObjectType.DIR_TREE

#: A file's object; a directory's dirtree and dirmeta; nothing.
_Entry = str | tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that cannot be what it was before, because it changed again; `what` says how."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Reverted:
    """The new commit (of a dry run: None), the one it undoes, and what it changes.

    `conflicts` were decided by the caller's choice.
    """

    checksum: str | None
    undone: str
    parent: str
    changes: tuple[tuple[str, str], ...]
    conflicts: tuple[Conflict, ...]


def revert(
    history: History,
    branch: str,
    revision: str | None = None,
    *,
    on_conflict: str = "refuse",
    subject: str | None = None,
    body: str | None = None,
    timestamp: int | None = None,
    dry_run: bool = False,
) -> Reverted:
    """Undo what the commit `revision` (None: the branch's newest) changed, on top of the branch.

    History stays: there is one commit more. `on_conflict`: one of CHOICES, for paths that were
    changed again since ("keep": as the branch has them, "undo": as they were before the commit).
    Raises StoreError ("no-revision", "revert-conflict", "nothing-to-revert", "ref-reserved").
    """
    history.refuse_ours(branch)
    if branch not in refs(history):
        raise StoreError(f"Invalid ref '{branch}'", reason="no-revision", hint="dolmen store refs")
    tip = load(history, resolve(history, branch))
    undone = load(history, resolve(history, revision or branch))
    if undone.parent is None:
        raise StoreError(
            f"Commit {undone.checksum} has no parent, so there is nothing to go back to",
            reason="no-revision",
            hint=f"dolmen store log {branch}",
        )
    before = load(history, undone.parent)
    with history.transaction():
        merge = _Merge(history, on_conflict)
        tree = merge.entry(
            "", (undone.tree, undone.meta), (tip.tree, tip.meta), (before.tree, before.meta)
        )
        if merge.conflicts and on_conflict == "refuse":
            raise _refused(undone.checksum, branch, merge.conflicts)
        if not isinstance(tree, tuple) or tree == (tip.tree, tip.meta):
            raise StoreError(
                f"{branch} has nothing left of what {undone.checksum[:12]} changed",
                reason="nothing-to-revert",
                hint=f"dolmen store diff {undone.checksum[:12]}",
            )
        checksum = record(
            history,
            tree,
            branch=None if dry_run else branch,
            parent=tip.checksum,
            subject=subject or f'Revert "{undone.subject or undone.checksum[:12]}"',
            body=body or f"This undoes commit {undone.checksum}.",
            timestamp=timestamp,
        )
    found = compare(history, tip.checksum, checksum)[2]
    if dry_run:
        with history.changing() as repo:
            repo.delete_object(OSTree.ObjectType.COMMIT, checksum, None)
    return Reverted(
        None if dry_run else checksum,
        undone.checksum,
        tip.checksum,
        tuple((difference.kind, difference.path) for difference in found),
        tuple(merge.conflicts),
    )


def _refused(undone: str, branch: str, conflicts: list[Conflict]) -> StoreError:
    count = f"{len(conflicts)} paths" if len(conflicts) > 1 else "one path"
    return StoreError(
        f"{undone[:12]} cannot be undone: {count} changed again since",
        reason="revert-conflict",
        details=[f"{conflict.path}: {conflict.what}" for conflict in conflicts[:20]],
        hint=f"dolmen store revert --on-conflict=keep {branch} {undone[:12]}",
    )


@dataclass(slots=True)
class _Merge:
    history: History
    on_conflict: str
    conflicts: list[Conflict] = field(default_factory=list)

    def entry(self, path: str, base: _Entry, ours: _Entry, theirs: _Entry) -> _Entry:
        if ours == theirs or base == theirs:
            return ours
        if base == ours:
            return theirs
        folders = (base, ours, theirs)
        if all(isinstance(side, tuple) or side is None for side in folders):
            return self._directory(path, *folders)  # type: ignore[arg-type]
        return self._decided(path, base, ours, theirs)

    def _directory(
        self,
        path: str,
        base: tuple[str, str] | None,
        ours: tuple[str, str] | None,
        theirs: tuple[str, str] | None,
    ) -> _Entry:
        meta = self._meta(path, *(side and side[1] for side in (base, ours, theirs)))
        sides = [self._names(side) for side in (base, ours, theirs)]
        files: dict[str, str] = {}
        dirs: dict[str, tuple[str, str]] = {}
        for name in sorted({name for side in sides for name in side}):
            found = self.entry(f"{path}/{name}", *(side.get(name) for side in sides))
            if isinstance(found, str):
                files[name] = found
            elif found is not None:
                dirs[name] = found
        if not files and not dirs and None in (ours, theirs):
            return None
        assert meta is not None
        return write_dirtree(self.history, files, dirs), meta

    def _meta(
        self, path: str, base: str | None, ours: str | None, theirs: str | None
    ) -> str | None:
        # A directory that one side lacks is there as long as something is in it.
        if ours is None or theirs is None:
            return ours or theirs
        if ours == theirs or base == theirs:
            return ours
        if base == ours:
            return theirs
        found = self._decided(path or "/", base, ours, theirs)
        assert isinstance(found, str)
        return found

    def _decided(self, path: str, base: _Entry, ours: _Entry, theirs: _Entry) -> _Entry:
        if ours is None:
            what = "gone since"
        elif base is None:
            what = "there again, as another"
        elif isinstance(ours, tuple) != isinstance(base, tuple):
            what = "another kind of file since"
        else:
            what = "changed since"
        self.conflicts.append(Conflict(path, what))
        return theirs if self.on_conflict == "undo" else ours

    def _names(self, side: tuple[str, str] | None) -> dict[str, Any]:
        if side is None:
            return {}
        with told():
            found = self.history.repo.load_variant(_TREE, side[0])[1]
        content = decode_dirtree(bytes(found.get_data_as_bytes().get_data() or b""))
        return {**content.files, **content.dirs}
