"""A repair that is killed at any of its system calls has lost nothing; the next one finishes it.

strace kills the process at the Nth call of a kind, for N = 1, 2, 3 … until it ends by itself (of
the frequent kinds every second or third). At each point an object is what it was, what is right, or
in the quarantine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.environment import Environment, install
from dolmen.environment.checking import check
from dolmen.model import parse_spec
from dolmen.store import Store
from dolmen.support.files import remove_tree
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run
from tests.lib.damage import StoreBackend

ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("repair_driver.py")
_MOST = 300
_DAMAGED = b"damaged by the test"

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


class World:
    """A store with one environment, damaged in every way, to be restored for every attempt."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "store"
        self.saved = directory / "saved"
        self.environment = Environment(directory / "project")
        self.environment.directory.mkdir()
        install(
            self.environment,
            [parse_spec("jq")],
            backend=StoreBackend(Store.open(self.store).path),
            command="install jq",
            create="bookworm",
        )
        self.before = self.contents()
        self.harmed = self.harm()
        assert run(["cp", "-a", str(self.store), str(self.saved)], timeout=60).ok

    def contents(self) -> dict[str, bytes]:
        found = {}
        for part in ("repo", "trees", "images", "debs"):
            for path in sorted((self.store / part).rglob("*")):
                name = str(path.relative_to(self.store))
                if path.name.startswith("."):
                    continue  # half made by the killed one; the collector removes it
                if path.is_symlink():
                    found[name] = os.readlink(path).encode()
                elif path.is_file():
                    found[name] = path.read_bytes()
        return found

    def harm(self) -> int:
        """Objects of every kind damaged, some missing; refs, a pointer and the tree too."""
        objects = sorted(p for p in (self.store / "repo/objects").rglob("*") if p.is_file())
        damaged = []
        for kind in ("commit", "dirtree", "dirmeta", "file"):
            mine = [path for path in objects if path.suffix == f".{kind}"]
            damaged.append(mine[0])
            if len(mine) > 1:
                mine[-1].unlink()
        for path in damaged:
            path.write_bytes(_DAMAGED)
        for ref in sorted((self.store / "repo/refs/heads").rglob("*")):
            if ref.is_file():
                ref.write_text("")
        (pointer,) = (self.store / "images").iterdir()
        pointer.unlink()
        pointer.symlink_to("nowhere")
        return len(damaged)

    def reset(self) -> None:
        for name in os.listdir(self.store):
            remove_tree(self.store / name)
        assert run(["cp", "-a", f"{self.saved}/.", str(self.store)], timeout=60).ok

    def repaired(self, inject: str | None = None) -> Completed:
        argv = [sys.executable, str(DRIVER), str(self.store), str(self.directory / "pool")]
        if inject is not None:
            argv = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={inject}", *argv]
        path = f"{ROOT / 'src'}:{ROOT}"
        return run(argv, timeout=60, env={**CLEAN_ENVIRONMENT, "PYTHONPATH": path})

    def damaged(self) -> int:
        """How many of the damaged files are still to be found, under whatever name."""
        found = {
            path.stat().st_ino
            for part in ("repo/objects", "quarantine")
            for path in (self.store / part).rglob("*")
            if path.is_file() and not path.is_symlink() and path.read_bytes() == _DAMAGED
        }
        return len(found)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """In memory where that has user attributes: durable writes wait for the whole disk."""
    directory = tmp_path_factory.mktemp("repair")
    memory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else directory))
    try:
        with contextlib.suppress(OSError):
            os.setxattr(memory, "user.dolmen", b"1")
            directory = memory
        yield World(directory)
    finally:
        remove_tree(memory)


@pytest.mark.parametrize(
    ("calls", "step"),
    [("rename", 2), ("link", 2), ("renameat2", 1), ("symlink", 1), ("syncfs", 1), ("unlink", 3)],
)
def test_killed_at_every_call(world: World, calls: str, step: int) -> None:
    for number in range(1, _MOST, step):
        world.reset()
        assert world.damaged() == world.harmed
        done = world.repaired(f"{calls}:signal=SIGKILL:when={number}")
        assert world.damaged() == world.harmed, (calls, number)
        if done.returncode == 0:
            break
        if number % 4 == 1:
            assert world.repaired().returncode == 0, (calls, number)
            assert world.damaged() == world.harmed
        else:
            continue
        assert world.contents() == world.before, (calls, number)
        assert check(Store.open(world.store)).whole
        assert list((world.store / "tmp").iterdir()) == []
    else:
        pytest.fail("the fault was still reached at the end")
    assert world.contents() == world.before
    assert check(Store.open(world.store)).whole
