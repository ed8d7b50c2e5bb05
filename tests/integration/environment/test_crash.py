"""An install that is killed at any of its system calls leaves the old generation or the new.

strace kills the process at the Nth call of a kind, for N = 1, 2, 3 … until the run ends before it
is reached: every point is covered, not a sample. The backend is a fake, the environment is real.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dolmen.environment import Environment, generations, install, prepare
from dolmen.model import parse_lock, parse_manifest, parse_spec
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run
from tests.lib.backend import FakeBackend, snapshot

ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("driver.py")
_MOST = 200

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


class World:
    """An environment with one generation (jq), to be copied for every attempt."""

    def __init__(self, directory: Path) -> None:
        self.store = directory / "store"
        self.store.mkdir()
        self.environment = Environment(directory / "project")
        self.add("jq")
        self.saved = directory / "saved"
        shutil.copytree(self.environment.directory, self.saved, symlinks=True)

    def add(self, package: str) -> None:
        install(
            self.environment,
            [parse_spec(package)],
            backend=FakeBackend(self.store),
            command="install",
            create="bookworm",
        )

    def reset(self) -> None:
        shutil.rmtree(self.environment.directory)
        shutil.copytree(self.saved, self.environment.directory, symlinks=True)

    def traced(self, inject: str) -> Completed:
        """Install curl under strace with a fault injected."""
        argv = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={inject}", sys.executable]
        argv += [str(DRIVER), str(self.environment.directory), str(self.store), "curl"]
        path = f"{ROOT / 'src'}:{ROOT}"
        return run(argv, timeout=60, env={**CLEAN_ENVIRONMENT, "PYTHONPATH": path})

    def live(self) -> set[str]:
        """The packages of the live generation, after seeing that it is whole."""
        record = generations.current(self.environment)
        assert record is not None
        directory = generations.directory_of(self.environment, record.generation.number)
        lock = parse_lock((directory / "dolmen.lock").read_text())
        assert lock.digest() == record.generation.lock_digest
        assert (directory / "launch").stat().st_mode & 0o111
        assert (directory / "launch").read_text().startswith("#!/bin/sh\n")
        manifest = parse_manifest((directory / "dolmen.toml").read_text())
        assert manifest.inputs() == lock.inputs
        # What the user sees is never empty or torn either.
        parse_manifest(self.environment.manifest_text())
        text = self.environment.lock_text()
        assert text is not None
        parse_lock(text)
        return {p.name for p in lock.packages if p.requested}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("crash"))


@pytest.mark.parametrize("calls", ["rename", "mkdir", "symlink", "fsync"])
def test_killed_at_every_call(world: World, calls: str) -> None:
    seen: list[set[str]] = []
    for number in range(1, _MOST):
        world.reset()
        done = world.traced(f"{calls}:signal=SIGKILL:when={number}")
        now = world.live()
        assert now in ({"jq"}, {"jq", "curl"}), (calls, number)
        if done.returncode == 0:
            assert now == {"jq", "curl"}
            break
        seen.append(now)
        # What is live can be entered, and the same command typed again finishes the work.
        backend = FakeBackend(world.store)
        mode = "frozen"
        assert prepare(world.environment, backend=backend, command="s", mode=mode).exists()
        world.add("curl")
        assert world.live() == {"jq", "curl"}
        left = [name for name in snapshot(world.environment) if "/.new." in name]
        assert left == [], (calls, number)
    else:
        pytest.fail("the fault was still reached at the end")
    assert {"jq"} in seen


@pytest.mark.parametrize("fault", ["fsync:error=EIO", "rename:error=ENOSPC", "mkdir:error=EDQUOT"])
def test_every_call_failing_once(world: World, fault: str) -> None:
    """A failure is a failure: it is told, and the generation before stays, as do the files."""
    calls = fault.split(":")[0]
    world.reset()
    before = snapshot(world.environment)
    for number in range(1, _MOST):
        world.reset()
        done = world.traced(f"{fault}:when={number}")
        now = world.live()
        if done.returncode == 0:
            assert now == {"jq", "curl"}
            break
        after = snapshot(world.environment)
        if now == {"jq"}:
            for name in ("dolmen.toml", "dolmen.lock", ".dolmen/current"):
                assert after[name] == before[name], (calls, number)
        world.add("curl")
        assert world.live() == {"jq", "curl"}
    else:
        pytest.fail("the fault was still reached at the end")


def test_durable_in_the_right_order(world: World, tmp_path: Path) -> None:
    """Contents are synced before their rename, directories after; `current` moves last."""
    world.reset()
    log = tmp_path / "trace"
    argv = [
        "strace",
        "-f",
        "-y",
        "-o",
        str(log),
        "-e",
        "trace=fsync,rename,symlink",
        sys.executable,
    ]
    argv += [str(DRIVER), str(world.environment.directory), str(world.store), "curl"]
    path = f"{ROOT / 'src'}:{ROOT}"
    assert run(argv, timeout=60, env={**CLEAN_ENVIRONMENT, "PYTHONPATH": path}).ok
    lines = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    renames = [n for n, line in enumerate(lines) if line.startswith("rename(")]
    for number in renames:
        target = lines[number].split('"')[3]
        parent = os.path.dirname(target)
        assert any(
            line.startswith("fsync(") and f"<{parent}>" in line for line in lines[number + 1 :]
        ), target
    names = [os.path.basename(lines[n].split('"')[3]) for n in renames]
    assert names[-4:] == ["dolmen.toml", "dolmen.lock", "2", "current"]
