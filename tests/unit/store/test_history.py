"""Repositories as history: names of commits, trees, differences, archives, checks."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from dolmen.store.history import references, revisions
from dolmen.store.history.checkout import Manner, checkout
from dolmen.store.history.committing import Source, Wish, commit
from dolmen.store.history.repository import History
from dolmen.store.history.tree import Tree
from dolmen.store.repo import differing, exporting, pruning
from dolmen.store.repo.checking import Wish as Checks
from dolmen.store.repo.checking import fsck
from dolmen.support.errors import StoreError, UsageError


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.create(tmp_path / "repo", "archive")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/d").mkdir(parents=True)
    (tmp_path / "tree/d/f").write_text("one\n")
    (tmp_path / "tree/same").write_text("one\n")
    (tmp_path / "tree/l").symlink_to("d/f")
    return tmp_path / "tree"


def put(history: History, tree: Path, **more: object) -> str:
    wish = Wish([Source("dir", str(tree))], branch="main", timestamp=7, sync=False, **more)  # type: ignore[arg-type]
    return commit(history, wish).checksum


def reason(error: pytest.ExceptionInfo[StoreError]) -> str:
    return error.value.reason


def test_names_of_commits(history: History, tree: Path) -> None:
    one = put(history, tree, subject="1")
    two = put(history, tree, subject="2")
    three = put(history, tree, subject="3")
    for name, named in {
        "main": three,
        "main^": two,
        "main^^": one,
        "main~": two,
        "main~2": one,
        "main~1^": one,
        "main~0": three,
        one: one,
        f"{three[:9]}^": two,
    }.items():
        assert revisions.resolve(history, name) == named, name
    for name in ("main~3", "none", "^", "", "main^^^"):
        with pytest.raises(StoreError) as caught:
            revisions.resolve(history, name)
        assert reason(caught) == "no-revision", name
    assert [c.subject for c in revisions.log(history, "main")] == ["3", "2", "1"]


def test_a_second_commit_of_the_same(history: History, tree: Path) -> None:
    one = put(history, tree)
    again = commit(history, Wish([Source("dir", str(tree))], branch="main", skip_if_unchanged=True))
    assert (again.checksum, again.changed) == (one, False)
    whole = commit(history, Wish([Source("ref", "main")], branch="b", parent="none"))
    assert revisions.load(history, whole.checksum).tree == revisions.load(history, one).tree


def test_a_branch_may_be_called_as_a_commit_begins(history: History, tree: Path) -> None:
    one = put(history, tree)
    short = one[:2]
    assert revisions.resolve(history, short) == one
    (tree / "same").write_text("other")
    first = commit(history, Wish([Source("dir", str(tree))], branch=short))
    assert first.parent is None
    assert revisions.resolve(history, short) == first.checksum != one
    (tree / "same").write_text("another")
    second = commit(history, Wish([Source("dir", str(tree))], branch=short))
    assert second.parent == first.checksum


def test_owners_modes_and_what_is_left_out(history: History, tree: Path) -> None:
    put(
        history,
        tree,
        uid=3,
        gid=4,
        modes={"/d/f": ("+", 0o4000), "/same": ("=", 0o640)},
        skipped=frozenset({"/l"}),
    )
    whole = Tree(history, revisions.resolve(history, "main"))
    found = {entry.path: entry for entry in whole.walk(whole.root)}
    assert {(e.uid, e.gid) for e in found.values()} == {(3, 4)}
    assert found["/d/f"].mode & 0o7000 == 0o4000
    assert found["/same"].mode == 0o100640
    assert "/l" not in found
    with pytest.raises(UsageError):
        put(history, tree, modes={"/none": ("+", 1)})
    assert len(list(revisions.log(history, "main"))) == 1  # nothing half done


def test_paths(history: History, tree: Path) -> None:
    found = Tree(history, put(history, tree))
    assert b"".join(found.read(found.follow("l"))) == b"one\n"
    assert found.find("/l").target == "d/f"
    for path, why in (("none", "no-path"), ("same/x", "not-a-directory")):
        with pytest.raises(StoreError) as caught:
            found.find(path)
        assert reason(caught) == why
    with pytest.raises(StoreError) as caught:
        found.follow("d")
    assert reason(caught) == "not-a-file"


def test_differences(history: History, tree: Path) -> None:
    put(history, tree)
    (tree / "d/f").write_text("two\n")
    (tree / "d/f").chmod(0o755)
    (tree / "l").unlink()
    (tree / "b").write_bytes(b"\0")
    one, two, found = differing.compare(history.files, "main", str(tree))
    assert [(d.kind, d.path) for d in found] == [("M", "/d/f"), ("D", "/l"), ("A", "/b")]
    lines = differing.patch(one, two, found[0])
    assert {"-one", "+two", "old mode 100644", "new mode 100755"} <= set(lines)
    assert differing.patch(one, two, found[2])[-1].startswith("Binary files")
    put(history, tree)
    assert len(differing.compare(history.files, "main^", "main")[2]) == 3
    assert differing.compare(history.files, "main", str(tree))[2] == []


def test_an_archive_is_a_function_of_the_commit(history: History, tree: Path) -> None:
    found = Tree(history, put(history, tree, uid=0, gid=0))
    written = []
    for _ in range(2):
        stream = io.BytesIO()
        exporting.export(found, stream, compression="gzip")
        written.append(stream.getvalue())
    assert written[0] == written[1]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(written[0]))) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == [".", "l", "same", "d", "d/f"]
    assert {m.mtime for m in members} == {7}
    assert members[4].islnk()
    assert members[4].linkname == "same"
    stream = io.BytesIO()
    exporting.export(found, stream, subpath="/d", prefix="p/")
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        assert archive.getnames() == ["p", "p/f"]


def test_refs(history: History, tree: Path) -> None:
    one = put(history, tree)
    references.create(history, "a/b", "main")
    assert references.refs(history) == {"a/b": one, "main": one}
    assert references.refs(history, "a") == {"b": one} or references.refs(history, "a") == {
        "a/b": one
    }
    with pytest.raises(StoreError) as caught:
        references.create(history, "main", "a/b")
    assert reason(caught) == "ref-taken"
    assert references.reset(history, "main", "a/b") == (one, one)
    references.delete(history, "a/b")
    assert references.refs(history) == {"main": one}


def test_checkout(history: History, tree: Path, tmp_path: Path) -> None:
    one = put(history, tree)
    target = tmp_path / "out"
    checkout(history, one, target, Manner(user=True))
    assert (target / "d/f").read_text() == "one\n"
    with pytest.raises(StoreError) as caught:
        checkout(history, one, target, Manner(user=True))
    assert reason(caught) == "path-exists"
    (target / "d/f").unlink()  # it is a hard link to the repository's own cache
    (target / "d/f").write_text("mine\n")
    checkout(history, one, target, Manner(user=True, over="add"))
    assert (target / "d/f").read_text() == "mine\n"
    checkout(history, one, target, Manner(user=True, over="union"))
    assert (target / "d/f").read_text() == "one\n"
    checkout(history, one, tmp_path / "less", Manner(user=True, skipped=("/d", "/../tree/same")))
    assert sorted(p.name for p in (tmp_path / "less").iterdir()) == ["l", "same"]
    assert (tree / "same").exists()
    (target / "d/f").unlink()
    checkout(history, one, target, Manner(user=True, over="union", skipped=("/d/f", "/l")))
    assert not (target / "d/f").exists()
    with pytest.raises(UsageError):
        checkout(history, one, target, Manner(user=True, over="identical"))
    checkout(history, one, tmp_path / "part", Manner(user=True, subpath="/d"))
    assert [p.name for p in (tmp_path / "part").iterdir()] == ["f"]


def test_damage(history: History, tree: Path) -> None:
    one = put(history, tree)
    assert fsck(history.files, Checks()).clean
    name = Tree(history, one).find("/d/f").checksum
    path = history.path / f"objects/{name[:2]}/{name[2:]}.filez"
    path.chmod(0o644)
    path.write_bytes(b"junk")
    (damage,) = fsck(history.files, Checks()).damages
    assert (damage.checksum, damage.kind, damage.commits) == (name, "file", (one,))
    assert damage.path in ("/d/f", "/same")
    assert path.exists()
    path.unlink()
    (damage,) = fsck(history.files, Checks(whole=True)).damages
    assert damage.missing
    assert fsck(history.files, Checks()).broken == [one]


def test_prune(history: History, tree: Path) -> None:
    one = put(history, tree)
    (tree / "new").write_text("x")
    put(history, tree)
    references.reset(history, "main", one)
    every = pruning.Rules(refs_only=True)
    assert pruning.prune(history.files, every, dry_run=True).pruned == 3
    assert pruning.prune(history.files, every).pruned == 3
    assert pruning.prune(history.files, every).pruned == 0
    names = [put(history, tree, subject=str(number)) for number in range(4)]
    references.create(history, "other", names[2])

    def left(**rules: object) -> list[str]:
        pruning.prune(history.files, pruning.Rules(refs_only=True, **rules))  # type: ignore[arg-type]
        return [found.subject for found in revisions.log(history, "main")]

    assert left(younger_than=7) == ["3", "2", "1", "0", ""]
    assert left(only=["main"], depth=0) == ["3", "2", "1", "0", ""]  # all of them other's too
    assert left(depth=0, retain={"main": 2}) == ["3", "2", "1"]
    assert left(younger_than=8) == ["3", "2"]
    references.delete(history, "other")
    assert left(younger_than=8) == ["3"]
    references.reset(history, "main", names[3])
    one = names[3]
    with pytest.raises(StoreError) as caught:
        pruning.prune(history.files, every, delete_commit=one)
    assert reason(caught) == "ref-needs"


def test_the_stores_own_refs(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "store/locks").mkdir(parents=True)
    (tmp_path / "store/format").write_text("1\n")
    history = History.create(tmp_path / "store/repo", "archive")
    put(history, tree)
    with pytest.raises(StoreError) as caught:
        references.create(history, "image/x", "main")
    assert reason(caught) == "ref-reserved"
    with pytest.raises(StoreError) as caught:
        pruning.prune(history.files, pruning.Rules(refs_only=True))
    assert reason(caught) == "store-own"


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        History.open(tmp_path)
    assert reason(caught) == "no-repository"
