"""Static deltas: made, read, applied; damage is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gi.repository import GLib

from dolmen.store.history import deltas
from dolmen.store.history.committing import Source, Wish, commit
from dolmen.store.history.deltas import SUPERBLOCK, Recipe
from dolmen.store.history.pulling import pull_local
from dolmen.store.history.repository import History
from dolmen.store.repo.checking import Wish as Check
from dolmen.store.repo.checking import fsck
from dolmen.store.sysroot.deltas import read_delta
from dolmen.support.errors import StoreError


class World:
    """A repository with two commits, and one with the first of them."""

    def __init__(self, directory: Path) -> None:
        self.here = self.make(directory / "here")
        self.there = self.make(directory / "there", "bare-user-only")
        tree = directory / "tree"
        tree.mkdir()
        (tree / "link").symlink_to("big")
        commits = []
        for text in ("one", "two"):
            (tree / "text").write_text(text)
            (tree / "big").write_text(
                "".join(f"{n}{text if n == 7 else ''}\n" for n in range(20_000))
            )
            wish = Wish([Source("dir", str(tree))], branch="main", canonical=True, sync=False)
            commits.append(commit(self.here, wish).checksum)
        self.one, self.two = commits
        pull_local(self.there, self.here.path, [self.one], sync=False)

    def make(self, path: Path, mode: str = "archive") -> History:
        found = History.create(path, mode)
        found.repo.set_disable_fsync(True)
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def reason(error: pytest.ExceptionInfo[StoreError]) -> str:
    return error.value.reason


def test_from_one_to_another(world: World) -> None:
    name, made = deltas.generate(world.here, "main^", "main", Recipe())
    assert (name, made) == (f"{world.one}-{world.two}", True)
    assert deltas.generate(world.here, "main^", "main", Recipe(), anew=False) == (name, False)
    assert deltas.names(world.here) == [name]
    found = deltas.describe(world.here, name)
    assert (found.before, found.after) == (world.one, world.two)
    assert not found.faults
    assert sum(part.objects for part in found.parts) >= 2
    assert found.size < found.usize
    (place,) = (world.here.path / "deltas").glob("*/*")
    assert deltas.apply(world.there, place) == world.two
    assert fsck(world.there.files, Check()).clean
    with pytest.raises(StoreError) as caught:
        deltas.apply(world.here, place)
    assert reason(caught) == "delta-mode"
    deltas.reindex(world.here)
    assert deltas.indexes(world.here) == [world.two]
    deltas.delete(world.here, name)
    assert deltas.names(world.here) == []
    deltas.reindex(world.here)
    assert deltas.indexes(world.here) == []


def test_in_one_file_and_from_nothing(world: World, tmp_path: Path) -> None:
    file = tmp_path / "all.delta"
    deltas.generate(world.here, None, "main", Recipe(inline=True, file=file))
    assert deltas.names(world.here) == []
    found = deltas.describe(world.here, str(file))
    assert found.before is None
    assert not found.faults
    empty = world.make(tmp_path / "empty")
    assert deltas.apply(empty, file) == world.two
    assert fsck(empty.files, Check()).clean


def test_what_is_refused(world: World, tmp_path: Path) -> None:
    file = tmp_path / "d"
    deltas.generate(world.here, "main^", "main", Recipe(inline=True, file=file))
    with pytest.raises(StoreError):
        deltas.apply(world.make(tmp_path / "empty"), file)
    good = file.read_bytes()
    assert deltas.apply(world.there, file) == world.two
    for place in (len(good) // 4, len(good) // 2, len(good) - 3):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        with pytest.raises(StoreError) as caught:
            deltas.apply(world.there, file)
        assert reason(caught) == "bad-delta"
    file.write_bytes(os.urandom(500))
    for act in (
        lambda: deltas.read(file),
        lambda: deltas.apply(world.there, file),
    ):
        with pytest.raises(StoreError) as caught:
            act()
        assert reason(caught) == "bad-delta"
    for name in ("none", "0" * 64):
        with pytest.raises(StoreError) as caught:
            deltas.describe(world.here, name)
        assert reason(caught) == "no-delta"


@pytest.mark.parametrize(
    ("objects", "fine"),
    [
        (b"\1" + bytes(32), True),
        (b"\4" + bytes(32) + b"\2" + bytes(32), True),
        (b"\0" + bytes(32), False),
        (b"\7" + bytes(32), False),
        (b"\1" + bytes(31), False),
    ],
)
def test_objects_that_a_head_of_a_server_may_name(objects: bytes, fine: bool) -> None:
    """A kind that libostree does not know would end the command with an error of the bindings."""
    none = bytes(32)
    commit: tuple[object, ...] = ({}, b"", [], "", "", 0, none, none)
    part = (0, none, 1, 5, objects)
    head = GLib.Variant(SUPERBLOCK, ({}, 0, b"", none, commit, b"", [part], []))
    found = read_delta(bytes(head.get_data_as_bytes().get_data() or b""))
    assert (found is not None) == fine
    if found is not None:
        assert (found.usize, found.objects) == (5, len(objects) // 33)
