"""Collecting beside programs that run and installs that are under way, with the real archive."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.store import Store
from dolmen.support.run import kill_group
from tests.lib.command import Dolmen

pytestmark = pytest.mark.network

#: Everything that may go goes at once.
NOW = ("gc", "--grace", "0s")


@pytest.fixture(scope="module")
def base(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    """A store of this module's own with jq installed, then hello; .debs come from the session's."""
    directory = tmp_path_factory.mktemp("gc") / "project"
    directory.mkdir()
    store = directory.parent / "store"
    dolmen = Dolmen(installed_source, directory, store)
    dolmen.ok("doctor")
    Store.open(store)
    if (session_store / "debs").is_dir():
        for deb in (session_store / "debs").glob("*.deb"):
            os.link(deb, store / "debs" / deb.name)
    dolmen.ok("install", "--dir", directory, "--suite", "bookworm", "jq")
    dolmen.ok("install", "hello")
    return dolmen


def whole(store: Path) -> None:
    """Every ref of the store leads to objects that are there."""
    opened = Store.open(store)
    inventory = opened.inventory()
    commits = [commit for ref in opened.refs() if (commit := opened.resolve(ref))]
    for checksum, kind in inventory.reach(commits):
        assert os.path.lexists(opened._objects.path(checksum, kind)), (checksum, kind)
    assert not inventory.damaged
    assert not [name for name in os.listdir(store / "trees") if name.startswith(".")]


def sibling(dolmen: Dolmen, name: str) -> Dolmen:
    """The same store, another directory."""
    directory = dolmen.directory.parent / name
    directory.mkdir()
    return replace(dolmen, directory=directory)


def store_of(dolmen: Dolmen) -> Path:
    assert dolmen.store is not None
    return dolmen.store


@contextmanager
def program(dolmen: Dolmen, *arguments: str) -> Iterator[None]:
    """A command inside that says when it is there, and stays."""
    script = "echo ready; exec sleep 300"
    with dolmen.started("run", *arguments, "--", "sh", "-c", script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield


def test_a_running_program_keeps_its_generation(base: Dolmen) -> None:
    dolmen = sibling(base, "running")
    dolmen.ok("install", "--dir", dolmen.directory, "--suite", "bookworm", "hello")
    dolmen.ok("install", "jq")
    dolmen.ok("remove", "hello")
    dolmen.ok("install", "hello")
    for options in ((), ("--pure",)):
        with program(dolmen, "--generation", "1", *options):
            found = dolmen.json(*NOW, "--keep", "1")
            mine = [kept for kept in found["kept"] if kept["directory"] == str(dolmen.directory)]
            assert ("in use", 1) in [(kept["why"], kept["number"]) for kept in mine]
            assert dolmen.ok("run", "--generation", "1", "hello") == "Hello, world!\n"
    # Without a root, too: only the process stands between it and the collector.
    with program(dolmen, "--generation", "1"):
        dolmen.ok("generations", "remove", "1")
        assert len(dolmen.json(*NOW)["collected"]["in_use"]) == 1
    assert dolmen.json(*NOW)["collected"]["in_use"] == []
    assert dolmen.ok("run", "hello") == "Hello, world!\n"
    whole(store_of(base))


def test_four_installs_beside_three_collections(base: Dolmen) -> None:
    names = ["hello", "jq", "tree", "cowsay"]
    commands = {"cowsay": "/usr/games/cowsay"}
    dolmens = [sibling(base, f"beside-{name}") for name in names]

    def install(pair: tuple[Dolmen, str]) -> int:
        dolmen, name = pair
        return dolmen("install", "--dir", dolmen.directory, "--suite", "bookworm", name).returncode

    def collect(number: int) -> int:
        time.sleep(number * 0.7)
        return base(*NOW).returncode

    with ThreadPoolExecutor(7) as pool:
        installs = list(zip(dolmens, names, strict=True))
        done = [*pool.map(install, installs), *pool.map(collect, range(3))]
    assert done == [0] * 7
    whole(store_of(base))
    for dolmen, name in installs:
        assert len(dolmen.json("generations")) == 1
        command = commands.get(name, name)
        assert dolmen("run", "--", command, "--version").returncode in (0, 1, 255)
        assert dolmen.ok("run", "--", "sh", "-c", f"command -v {command}").strip()
    base.ok(*NOW)
    whole(store_of(base))
    for dolmen, _name in installs:
        assert dolmen.ok("run", "true") == ""


def test_killed_and_typed_again(base: Dolmen) -> None:
    dolmen = sibling(base, "killed")
    dolmen.ok("install", "--dir", dolmen.directory, "--suite", "bookworm", "tree")
    dolmen.ok("install", "jq")
    dolmen.ok("rollback")
    dolmen.ok("rollback")
    for path in (dolmen.directory / ".dolmen/generations").iterdir():
        if path.name == "1":
            dolmen.ok("generations", "remove", "1")
    for delay in (0.15, 0.3, 0.5):
        with dolmen.started(*NOW) as child:
            time.sleep(delay)
            kill_group(child)
        opened = Store.open(store_of(base))
        inventory = opened.inventory()
        for directory in opened.roots():
            for link in (directory / ".dolmen/generations").glob("*/tree"):
                commit = opened.resolve(f"image/{os.path.basename(os.readlink(link))}")
                assert commit is not None
                inventory.reach([commit])
        assert not inventory.damaged
        assert dolmen.ok("run", "jq", "-n", "1+1") == "2\n"
    dolmen.ok(*NOW)
    assert dolmen.ok(*NOW).startswith("Nothing to remove")
    whole(store_of(base))


def test_a_dry_run_changes_nothing(base: Dolmen) -> None:
    def listing() -> list[str]:
        return sorted(
            str(path)
            for top in (store_of(base), base.directory)
            for path in top.rglob("*")
            if path.parent.name != "locks"
        )

    base.ok("install", "tree")
    base.ok("remove", "tree")
    base.ok("install", "tree")
    before = listing()
    said = base.json(*NOW, "--keep", "1", "--dry-run")
    assert said["generations"]
    assert said["freed"] > 0
    assert listing() == before


def test_difference_of_two_real_generations(base: Dolmen) -> None:
    found = base.json("diff", "1", "2")
    assert [change["name"] for change in found["added"]] == ["hello"]
    paths = {one["path"]: one["what"] for one in found["files"]}
    assert paths["/usr/bin/hello"] == "added"
    assert set(paths.values()) == {"added"}
    assert base.json("diff", "2", "1", "--files")["removed"][0]["name"] == "hello"
    assert "| + | **hello** |" in base.ok("diff", "1", "2", "--markdown")


def test_room(base: Dolmen) -> None:
    used = base.json("du")
    mine = [e for e in used["environments"] if e["directory"] == str(base.directory)]
    assert mine[0]["usage"]["total"] > 100 << 20
    by_du = sum(
        path.lstat().st_blocks * 512
        for path in {p.lstat().st_ino: p for p in store_of(base).rglob("*")}.values()
    )
    assert abs(used["total"] - by_du) < by_du * 0.02
