"""A disk that is really full: a change gets the room that old images in the store take."""

from __future__ import annotations

import os
import random

import click
import pytest

from dolmen.cli.collecting import with_room
from dolmen.cli.session import Session
from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.support.errors import MachineError
from dolmen.system.keeping import remember
from dolmen.system.machine.making import NOTES
from tests.lib.faults.disks import Memory

pytestmark = pytest.mark.root

_SIZE = 1 << 20
KEYS = [Sha256(f"{number:064x}") for number in range(3)]


def test_a_full_disk_is_tried_again_with_what_was_freed(small: Memory) -> None:
    store = Store.open(small.mount / "store")
    for number, key in enumerate(KEYS):
        with store.tree_builder() as builder:
            builder.add_file("x", random.Random(number).randbytes(_SIZE))
            store.name(f"system/{key}", builder.commit().commit)
        remember(store.path / NOTES, key, store)
    small.limit(room=0, inodes=0)
    tries = []

    def change() -> int:
        tries.append(os.statvfs(small.mount).f_bavail)
        try:
            (small.mount / "made").write_bytes(bytes(_SIZE))
        except OSError as error:
            raise MachineError("the disk is full", reason="root-full") from error
        return len(tries)

    session = Session(store=store.path)
    session.quiet = True
    with click.Context(click.Command("test"), obj=session):
        assert with_room(change) == 2
    assert tries[0] == 0
    # The newest stays, for what asked for room.
    assert [key for key in KEYS if store.resolve(f"system/{key}")] == KEYS[2:]
    assert (small.mount / "made").stat().st_size == _SIZE
