"""What the collector takes, and what it leaves, in a store of synthetic packages."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.model import Sha256
from dolmen.model.digest import digest_text
from dolmen.store import Image, Store
from dolmen.store.collect import Collected, Rules, collect
from dolmen.store.roots import Lease, Needs, add_root, extend_lease, read_lease, remove_root
from dolmen.support.events import Event, Notice
from tests.lib.debs import lock_entry, make_deb

NOW = Rules(grace=-1.0)


@dataclass
class World:
    """A store with two packages and an image of each; they share a file."""

    store: Store
    packages: dict[str, Sha256]
    images: dict[str, Image]

    def needs(self, *names: str) -> Needs:
        return Needs(
            frozenset(f"deb/{self.packages[name]}" for name in names),
            frozenset(digest_text(name) for name in names),
            frozenset(self.images[name].root for name in names),
        )

    def collect(
        self, needs: Needs, rules: Rules = NOW, *running: str, dry_run: bool = False
    ) -> Collected:
        return collect(
            self.store.path, needs, rules, in_use=lambda: frozenset(running), dry_run=dry_run
        )

    def whole(self, name: str) -> None:
        """An image can be found, read and checked out again."""
        image = self.store.image(digest_text(name))
        assert image == self.images[name]
        inventory = self.store.inventory()
        found = inventory.reach([image.commit])
        assert not inventory.damaged
        assert all(os.path.lexists(self.store._objects.path(*one)) for one in found)
        tree = self.store.trees / image.root
        assert (tree / f"usr/share/{name}").read_text() == name
        with self.store.scratch() as work:
            self.store.checkout(image.commit, work / "again")


def make_world(store: Store, debs: Path) -> World:
    packages: dict[str, Sha256] = {}
    images: dict[str, Image] = {}
    for name in ("one", "two"):
        files = {f"usr/share/{name}": name, "usr/share/common": "common", f"etc/{name}.d/x": "x"}
        if name == "two":
            del files["usr/share/common"]
            files["usr/share/doc/common"] = "common"
        deb = make_deb(debs, name, files=files)
        entry = lock_entry(deb)
        shutil.copy(deb, store.debs / f"{entry.sha256}.deb")
        store.import_packages([(entry, deb)])
        packages[name] = entry.sha256
        with store.tree_builder() as builder:
            builder.merge_package(entry.sha256)
            builder.add_symlink("usr/link", name)
            images[name] = builder.commit()
        store.realise(images[name])
        store.record_image(digest_text(name), images[name])
    return World(store, packages, images)


@pytest.fixture
def world(store: Store, debs: Path) -> World:
    return make_world(store, debs)


def listing(store: Store) -> set[str]:
    return {str(path.relative_to(store.path)) for path in store.path.rglob("*")}


def test_nothing_goes_while_all_is_needed(world: World) -> None:
    world.collect(world.needs("one", "two"))
    before = listing(world.store)
    found = world.collect(world.needs("one", "two"))
    assert found.freed == 0
    assert listing(world.store) == before
    world.whole("one")
    world.whole("two")


def test_what_nobody_needs_goes_and_the_rest_is_whole(world: World) -> None:
    found = world.collect(world.needs("one"))
    world.whole("one")
    assert world.store.image(digest_text("two")) is None
    assert not (world.store.trees / world.images["two"].root).exists()
    assert not world.store.has_package(world.packages["two"])
    assert not (world.store.debs / f"{world.packages['two']}.deb").exists()
    assert found.counts["image"] == found.counts["trees"] == found.counts["deb"] == 1
    assert found.freed > 0
    left = listing(world.store)
    assert world.collect(world.needs("one")).freed == 0
    assert listing(world.store) == left


def test_everything_may_go_and_come_again(world: World, debs: Path) -> None:
    world.collect(Needs())
    assert not list((world.store.path / "repo/objects").glob("*/*"))
    assert list(world.store.trees.iterdir()) == []
    again = make_world(world.store, debs)
    assert again.images == world.images
    again.whole("two")


def test_a_dry_run_changes_nothing_and_says_the_same(world: World) -> None:
    (world.store.tmp / "work-left").mkdir()
    before = listing(world.store)
    said = world.collect(world.needs("one"), dry_run=True)
    assert listing(world.store) == before
    done = world.collect(world.needs("one"))
    assert (said.counts, said.sizes) == (done.counts, done.sizes)


def test_young_things_stay(world: World) -> None:
    found = world.collect(Needs(), Rules(grace=3600))
    assert "deb" not in found.counts
    assert "debs" not in found.counts
    assert found.counts["image"] == 2
    assert world.store.has_package(world.packages["one"])
    # A clock that went back makes everything look as if it came from the future.
    for path in world.store.debs.iterdir():
        os.utime(path, (4e9, 4e9))
    assert "debs" not in world.collect(Needs(), Rules(grace=60)).counts


def test_without_keeping_debs(world: World) -> None:
    world.collect(world.needs("one", "two"), Rules(grace=-1, keep_debs=False))
    assert list(world.store.debs.iterdir()) == []
    world.whole("one")


def test_an_image_in_use_stays_whole(world: World) -> None:
    root = world.images["two"].root
    found = world.collect(world.needs("one"), NOW, root)
    assert found.in_use == (root,)
    world.whole("two")
    assert world.collect(world.needs("one")).in_use == ()
    assert not (world.store.trees / root).exists()


def test_an_image_entered_at_the_last_moment_is_given_back(world: World) -> None:
    root = world.images["two"].root
    asked: list[frozenset[str]] = []

    def in_use() -> frozenset[str]:
        asked.append(frozenset({root}) if asked else frozenset())
        return asked[-1]

    found = collect(world.store.path, world.needs("one"), NOW, in_use=in_use)
    assert len(asked) == 2
    assert found.in_use == (root,)
    world.whole("two")


def test_foreign_refs_are_roots(world: World) -> None:
    ref = world.store.path / "repo/refs/heads/debian/system"
    ref.parent.mkdir()
    ref.write_text(f"{world.images['two'].commit}\n")
    world.collect(world.needs("one"))
    found = world.store.inventory()
    assert found.reach([world.images["two"].commit])
    assert not found.damaged


def test_a_branch_is_its_history(world: World) -> None:
    from dolmen.store.history.committing import Source, Wish, commit
    from dolmen.store.history.repository import History

    history = History.open(world.store.path / "repo")
    tree = world.store.path.parent / "tree"
    tree.mkdir(exist_ok=True)
    commits = []
    for text in ("one", "two", "three"):
        (tree / "file").write_text(text)
        wish = Wish([Source("dir", str(tree))], branch="mine", subject=text, sync=False)
        commits.append(commit(history, wish).checksum)
    world.collect(world.needs("one"))
    found = world.store.inventory()
    for checksum, kind in found.reach(commits):
        assert os.path.lexists(world.store._objects.path(checksum, kind))
    assert not found.damaged
    assert history.path.joinpath("refs/heads/mine").read_text().strip() == commits[-1]


def test_when_it_cannot_be_told_images_stay(world: World) -> None:
    world.collect(Needs(everything=True))
    world.whole("one")
    world.whole("two")


def test_damage_stops_the_sweep(world: World) -> None:
    commit = world.store._objects.commit(world.images["one"].commit)
    os.unlink(world.store._objects.path(commit.tree, "dirtree"))
    before = set((world.store.path / "repo/objects").rglob("*"))
    events: list[Event] = []
    found = collect(world.store.path, world.needs("one"), NOW, in_use=frozenset, emit=events.append)
    assert found.damaged == (commit.tree,)
    assert set((world.store.path / "repo/objects").rglob("*")) == before
    assert any(isinstance(event, Notice) and event.level == "warning" for event in events)


def test_the_quarantine_is_emptied_but_for_who_works_there(world: World) -> None:
    (world.store.tmp / "build-left/deep").mkdir(parents=True)
    (world.store.tmp / "file").write_text("x")
    with world.store.scratch() as mine:
        world.collect(world.needs("one", "two"))
        assert list(world.store.tmp.iterdir()) == [mine]


def test_leases(tmp_path: Path) -> None:
    roots = tmp_path / "roots"
    roots.mkdir()
    directory = tmp_path / "gone"
    add_root(roots, directory)
    assert read_lease(roots, directory).needs.everything
    extend_lease(roots, directory, Needs(images=frozenset({"a"})))
    extend_lease(roots, directory, Needs(refs=frozenset({"deb/x"}), images=frozenset({"b"})))
    assert read_lease(roots, directory) == Lease(
        Needs(refs=frozenset({"deb/x"}), images=frozenset({"a", "b"}))
    )
    remove_root(roots, directory)
    assert not list((tmp_path / "leases").iterdir())
