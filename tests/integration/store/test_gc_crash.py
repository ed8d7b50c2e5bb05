"""A collection that is killed at any of its system calls leaves a store that is whole.

strace kills the process at the Nth call of a kind, for N = 1, 2, 3 … until it ends by itself: every
point is covered. What is needed is then all there, what is not can be made again, and the next run
finishes the work.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dolmen.model.digest import digest_text
from dolmen.store import Image, Store
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run

ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("gc_driver.py")
_MOST = 300

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def make(store: Store, name: str) -> Image:
    with store.tree_builder() as builder:
        builder.add_file("usr/common", b"common")
        for number in range(3):
            builder.add_file(f"usr/{name}/{number}", f"{name} {number}".encode())
        image = builder.commit()
    store.realise(image)
    store.record_image(digest_text(name), image)
    return image


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / "saved")
    make(store, "kept")
    make(store, "gone")
    return store.path


def collected(store: Path, inject: str | None = None) -> Completed:
    argv = [sys.executable, str(DRIVER), str(store), "kept"]
    if inject is not None:
        argv = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={inject}", *argv]
    path = f"{ROOT / 'src'}:{ROOT}"
    return run(argv, timeout=60, env={**CLEAN_ENVIRONMENT, "PYTHONPATH": path})


def check(store: Store, name: str) -> None:
    image = store.image(digest_text(name))
    assert image is not None
    inventory = store.inventory()
    for checksum, kind in inventory.reach([image.commit]):
        assert os.path.lexists(store._objects.path(checksum, kind))
    assert not inventory.damaged
    tree = store.trees / image.root
    assert (tree / f"usr/{name}/2").read_text() == f"{name} 2"
    assert (tree / "usr/common").read_text() == "common"


@pytest.mark.parametrize("calls", ["rename", "unlink", "unlinkat", "rmdir"])
def test_killed_at_every_call(saved: Path, tmp_path: Path, calls: str) -> None:
    where = tmp_path / "store"
    clean = tmp_path / "clean"
    shutil.copytree(saved, clean, symlinks=True, copy_function=os.link)
    for number in range(1, _MOST):
        shutil.rmtree(where, ignore_errors=True)
        # Objects and trees share inodes, as they do in life.
        assert run(["cp", "-a", str(saved), str(where)], timeout=60).ok
        done = collected(where, f"{calls}:signal=SIGKILL:when={number}")
        store = Store.open(where)
        check(store, "kept")
        if done.returncode == 0:
            break
        # Making again what was half gone works just as well as finishing its removal.
        if number % 2:
            make(store, "gone")
            check(store, "gone")
            check(store, "kept")
        assert collected(where).returncode == 0
        assert store.image(digest_text("gone")) is None
        check(store, "kept")
        left = [p.name for p in store.trees.iterdir()]
        assert left == [os.path.basename(os.readlink(store.images / digest_text("kept")))]
    else:
        pytest.fail("the fault was still reached at the end")


def test_a_full_disk_does_not_matter(saved: Path, tmp_path: Path) -> None:
    """No call that needs room is necessary: writing fails from the first byte on."""
    where = tmp_path / "store"
    assert run(["cp", "-a", str(saved), str(where)], timeout=60).ok
    faults = ["write:error=ENOSPC", "mkdir:error=ENOSPC", "symlink:error=ENOSPC"]
    argv = ["strace", "-f", "-o", "/dev/null"]
    argv += [word for fault in faults for word in ("-e", f"inject={fault}")]
    argv += [sys.executable, str(DRIVER), str(where), "kept"]
    path = f"{ROOT / 'src'}:{ROOT}"
    assert run(argv, timeout=60, env={**CLEAN_ENVIRONMENT, "PYTHONPATH": path}).returncode == 0
    store = Store.open(where)
    check(store, "kept")
    assert store.image(digest_text("gone")) is None
