"""Undoing one commit: three trees, name by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.store.history import reverting, revisions
from dolmen.store.history.committing import Source, Wish, commit
from dolmen.store.history.repository import History
from dolmen.store.history.reverting import Conflict, revert
from dolmen.store.history.tree import Tree
from dolmen.support.errors import StoreError
from dolmen.support.files import remove_tree

Files = dict[str, str]


class Branch:
    """A branch whose commits are made of names and texts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.history = History.create(directory / "repo", "archive")

    def put(self, files: Files) -> str:
        tree = self.directory / "tree"
        if tree.exists():
            remove_tree(tree)
        tree.mkdir()
        for name, text in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                (tree / name).symlink_to(text[3:])
            else:
                (tree / name).write_text(text)
        wish = Wish([Source("dir", str(tree))], branch="main", subject="S", sync=False)
        return commit(self.history, wish).checksum

    def files(self, revision: str = "main") -> Files:
        tree = Tree(self.history, revisions.resolve(self.history, revision))
        return {
            entry.path[1:]: b"".join(tree.read(entry)).decode()
            if entry.target is None
            else f"-> {entry.target}"
            for entry in tree.walk(tree.root)
            if not entry.is_directory
        }


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


ONE: Files = {"a": "1", "d/x": "1", "d/y": "1", "l": "-> a"}
TWO: Files = {"a": "2", "new/n": "1", "l": "-> d"}


def test_the_newest_commit_is_undone_and_history_grows(branch: Branch) -> None:
    one, two = branch.put(ONE), branch.put(TWO)
    done = revert(branch.history, "main")
    assert branch.files() == ONE
    commits = list(revisions.log(branch.history, "main"))
    assert [c.checksum for c in commits] == [done.checksum, two, one]
    assert commits[0].subject == 'Revert "S"'
    assert commits[0].tree == commits[2].tree  # not only alike: the same object
    assert done.undone == two
    # And that again.
    revert(branch.history, "main")
    assert branch.files() == TWO


def test_what_others_changed_stays(branch: Branch) -> None:
    branch.put(ONE)
    two = branch.put(TWO)
    branch.put({**TWO, "z": "z", "new/more": "m"})
    plan = revert(branch.history, "main", two, dry_run=True)
    assert plan.checksum is None
    assert branch.files()["a"] == "2"
    done = revert(branch.history, "main", two)
    assert done.changes == plan.changes
    assert branch.files() == {**ONE, "z": "z", "new/more": "m"}


@pytest.mark.parametrize(
    ("later", "conflict"),
    [
        ({**TWO, "a": "3"}, Conflict("/a", "changed since")),
        ({k: v for k, v in TWO.items() if k != "a"}, Conflict("/a", "gone since")),
        ({**TWO, "d/x": "other"}, Conflict("/d/x", "there again, as another")),
        (
            {"a/b": "x", **{k: v for k, v in TWO.items() if k != "a"}},
            Conflict("/a", "another kind of file since"),
        ),
    ],
)
def test_conflicts_are_listed_and_nothing_is_done(
    branch: Branch, later: Files, conflict: Conflict
) -> None:
    branch.put(ONE)
    two = branch.put(TWO)
    three = branch.put(later)
    with pytest.raises(StoreError) as caught:
        revert(branch.history, "main", two)
    assert caught.value.reason == "revert-conflict"
    assert caught.value.details == (f"{conflict.path}: {conflict.what}",)
    assert revisions.resolve(branch.history, "main") == three
    path = conflict.path[1:]
    kept = revert(branch.history, "main", two, on_conflict="keep")
    assert kept.conflicts == (conflict,)
    assert branch.files().get(path) == later.get(path)
    assert branch.files()["d/y"] == "1"
    branch.history.repo.set_ref_immediate(None, "main", three, None)
    revert(branch.history, "main", two, on_conflict="undo")
    assert branch.files().get(path) == ONE.get(path)


def test_what_cannot_be_undone(branch: Branch) -> None:
    one = branch.put(ONE)
    two = branch.put(TWO)
    revert(branch.history, "main")
    for name, revision, reason in (
        ("main", one, "no-revision"),
        ("none", None, "no-revision"),
        ("main", two, "nothing-to-revert"),
    ):
        with pytest.raises(StoreError) as caught:
            revert(branch.history, name, revision)
        assert caught.value.reason == reason
    assert reverting.CHOICES[0] == "refuse"


def test_modes_of_directories_are_undone_too(branch: Branch) -> None:
    tree = branch.directory / "tree"
    branch.put(ONE)
    wish = Wish([Source("dir", str(tree))], branch="main", modes={"/d": ("=", 0o700)}, sync=False)
    commit(branch.history, wish)
    revert(branch.history, "main")
    found = Tree(branch.history, revisions.resolve(branch.history, "main"))
    assert found.find("/d").mode & 0o777 == 0o755
