"""Repositories mended from others, of any mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.store.history.committing import Source, Wish, commit
from dolmen.store.history.pulling import pull_local
from dolmen.store.history.repository import History
from dolmen.store.history.restoring import restore
from dolmen.store.repo.checking import Wish as Check
from dolmen.store.repo.checking import fsck
from dolmen.support.errors import StoreError


class World:
    """Two repositories with the same two commits, the first of them to be damaged."""

    def __init__(self, directory: Path, mode: str) -> None:
        tree = directory / "tree"
        (tree / "a/deep").mkdir(parents=True)
        (tree / "link").symlink_to("a")
        self.mine = History.create(directory / "mine", mode)
        self.theirs = History.create(directory / "theirs", "archive")
        for found in (self.mine, self.theirs):
            found.repo.set_disable_fsync(True)
        for text in ("one", "two"):
            (tree / "a/deep/file").write_text(text * 1000)
            (tree / f"a/{text}").write_text(text)
            wish = Wish([Source("dir", str(tree))], branch="main", canonical=True, sync=False)
            commit(self.theirs, wish)
        pull_local(self.mine, self.theirs.path, ["main"], depth=-1, sync=False)
        assert self.clean()

    def clean(self) -> bool:
        return fsck(self.mine.files, Check(whole=True)).clean

    def objects(self, *kinds: str) -> list[Path]:
        found = sorted(p for p in (self.mine.path / "objects").rglob("*") if p.is_file())
        return [path for path in found if path.suffix[1:] in kinds]

    def contents(self) -> dict[str, bytes]:
        kinds = ("file", "filez", "dirtree", "dirmeta", "commit")
        return {path.name: path.read_bytes() for path in self.objects(*kinds)}


def harm(path: Path) -> None:
    """Another file in its place: the pull made hard links."""
    path.unlink()
    path.write_bytes(b"damaged")


@pytest.mark.parametrize("mode", ["archive", "bare-user-only"])
def test_every_kind_of_damage_is_mended(tmp_path: Path, mode: str) -> None:
    world = World(tmp_path, mode)
    before = world.contents()
    for kinds in (("file", "filez"), ("dirtree",), ("dirmeta",), ("commit",)):
        first, *others = world.objects(*kinds)
        harm(first)
        if others and kinds != ("commit",):  # without a name for it nobody knows of a commit
            others[-1].unlink()
    damaged = world.contents()
    plan = restore(world.mine, [str(world.theirs.path)], dry_run=True)
    assert plan.mended
    assert world.contents() == damaged
    done = restore(world.mine, [str(world.theirs.path)])
    assert not done.left
    assert set(plan.mended) <= set(done.mended)
    assert world.clean()
    if mode != "archive":  # zlib's bytes may differ, contents never
        assert world.contents() == before
    assert restore(world.mine, [str(world.theirs.path)]).mended == ()


def test_what_nobody_has_stays(tmp_path: Path) -> None:
    world = World(tmp_path, "bare-user-only")
    first, second = world.objects("file")[:2]
    for path in (first, second):
        harm(path)
    name = second.name.removesuffix(".file")
    for path in (world.theirs.path / "objects" / second.parent.name).glob(f"{name}.*"):
        path.unlink()
    done = restore(world.mine, [str(world.theirs.path)])
    assert done.left == (f"{second.parent.name}{name}.file",)
    assert second.read_bytes() == b"damaged"
    assert first.read_bytes() != b"damaged"
    assert not world.clean()


def test_marks_of_earlier_checks_go(tmp_path: Path) -> None:
    world = World(tmp_path, "archive")
    world.objects("filez")[0].unlink()
    assert not world.clean()  # marks the commits
    assert list((world.mine.path / "state").glob("*.commitpartial"))
    assert restore(world.mine, [str(world.theirs.path)]).mended
    assert not list((world.mine.path / "state").glob("*.commitpartial"))
    assert world.clean()


def test_damage_is_not_taken_over(tmp_path: Path) -> None:
    world = World(tmp_path, "archive")
    (path,) = world.objects("filez")[:1]
    path.unlink()
    other = world.theirs.path / path.relative_to(world.mine.path)
    harm(other)
    assert restore(world.mine, [str(world.theirs.path)]).left
    assert not path.exists()
    with pytest.raises(StoreError) as caught:
        restore(world.mine, [str(tmp_path / "none")])
    assert caught.value.reason == "no-repository"
