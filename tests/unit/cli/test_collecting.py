"""What a machine has built for itself stays bounded, and gives room where the disk is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dolmen.cli.collecting import bound, with_room
from dolmen.cli.session import Session
from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.store.sysroot import Deployment, Metadata
from dolmen.support.errors import MachineError
from dolmen.system.keeping import remember
from dolmen.system.machine.making import NOTES
from dolmen.system.machine.switching import Outcome

KEYS = [Sha256(f"{number:064x}") for number in range(3)]
COMMIT = "c" * 64


@pytest.fixture
def store(store_dir: Path) -> Iterator[Store]:
    """With three images that were built for the machine, and one of a directory."""
    store = Store.open(store_dir)
    for name in (*KEYS, Sha256("d" * 64)):
        with store.tree_builder() as builder:
            builder.add_file("x", name.encode() * 1000)
            store.name(f"system/{name}", builder.commit().commit)
    for key in KEYS:
        remember(store_dir / NOTES, key, store)
    session = Session(store=store_dir)
    session.quiet = True
    with click.Context(click.Command("test"), obj=session):
        yield store


def outcome(origin: dict[str, str]) -> Outcome:
    image = Metadata(COMMIT, 0, "1")
    made = Deployment(0, "debian", COMMIT, 0, "", image, Path("/x"), origin={"dolmen": origin})
    return Outcome(True, made)


def kept(store: Store) -> list[Sha256]:
    """Those that are there, with their content."""
    found = [key for key in KEYS if store.resolve(f"system/{key}")]
    assert all(store.file(Sha256(str(store.resolve(f"system/{k}"))), "x") for k in found)
    return found


def objects(store: Store) -> int:
    return sum(1 for _ in (store.path / "repo/objects").glob("*/*.file"))


@pytest.mark.parametrize("origin", [{"base": "b" * 64}, {"directory": "/etc/dolmen"}])
def test_two_images_stay_of_what_is_built_here(store: Store, origin: dict[str, str]) -> None:
    assert len(kept(store)) == 3
    assert objects(store) == 4
    bound(outcome(origin))
    assert kept(store) == KEYS[1:]
    assert objects(store) == 3


def test_the_tree_that_a_next_build_may_begin_with_stays_a_week(store: Store) -> None:
    with store.tree_builder() as builder:
        builder.add_file("x", b"configured")
        tree = builder.commit()
    key = Sha256("e" * 64)
    store.record_image(key, tree)
    bound(outcome({"directory": "/etc/dolmen"}))
    assert store.image(key) == tree
    ref = store.path / f"repo/refs/heads/image/{tree.root}"
    week = 7 * 86400
    os.utime(ref, (0, ref.stat().st_mtime - week))
    bound(outcome({"directory": "/etc/dolmen"}))
    assert store.image(key) is None
    assert not store.has_commit(tree.commit)


def test_none_stay_once_images_come_from_a_server(store: Store) -> None:
    bound(outcome({}))
    assert kept(store) == []
    assert objects(store) == 1
    assert store.resolve(f"system/{'d' * 64}")


def test_a_store_that_is_in_use_is_left_to_the_next_change(store: Store) -> None:
    with store.locked():
        bound(outcome({}))
    assert objects(store) == 4
    bound(outcome({}))
    assert objects(store) == 1


def test_nothing_goes_where_nothing_changed(store: Store) -> None:
    bound(Outcome(False, None))
    assert len(kept(store)) == 3


@pytest.mark.parametrize("reason", ["root-full", "store-full"])
def test_a_full_disk_is_tried_again_with_what_was_freed(store: Store, reason: str) -> None:
    tries = []

    def change() -> list[Sha256]:
        tries.append(kept(store))
        if len(tries) == 1:
            raise MachineError("full", reason=reason)
        return tries[-1]

    assert with_room(change) == KEYS[2:]
    tries.clear()
    # Nothing more to give.
    with pytest.raises(MachineError) as caught:
        with_room(change)
    assert caught.value.reason == reason
    assert len(tries) == 1


def test_other_refusals_are_final(store: Store) -> None:
    tries = []

    def change() -> None:
        tries.append(1)
        raise MachineError("no", reason="boot-full")

    with pytest.raises(MachineError):
        with_room(change)
    assert tries == [1]
    assert len(kept(store)) == 3
