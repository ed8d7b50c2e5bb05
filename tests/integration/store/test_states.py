"""Every state that a store can be found in: its reason, its exit code, and the way out.

Each row first sees the command succeed on the very store that is damaged afterwards.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dolmen.support.run import run
from tests.lib.faults.environments import EnvironmentWorld
from tests.lib.faults.repositories import digest
from tests.lib.faults.worlds import memory_directory
from tests.lib.faults.zygote import Zygote

Harm = Callable[[EnvironmentWorld], None]
DAMAGED = (7, "store-damaged")


@pytest.fixture(scope="module")
def saved() -> Iterator[EnvironmentWorld]:
    with Zygote() as zygote, memory_directory() as directory:
        world = EnvironmentWorld(zygote, directory)
        world.installed("jq", "curl")
        world.save()
        yield world


@pytest.fixture
def world(saved: EnvironmentWorld) -> EnvironmentWorld:
    saved.reset()
    assert saved.run("fsck").code == 0
    return saved


def said(world: EnvironmentWorld, *words: str) -> tuple[int, Any]:
    ended = world.run(*words, "--json")
    return ended.code, json.loads(ended.out.strip().splitlines()[-1])


def objects(world: EnvironmentWorld, kind: str) -> list[Path]:
    """Those of an image, not of a package: their damage has sufferers."""
    return sorted((world.store / "repo/objects").glob(f"*/*.{kind}"))


def live_file(world: EnvironmentWorld, path: str = "usr/bin/jq") -> Path:
    return Path(os.readlink(world.here / ".dolmen/current/tree")) / path


def flip(world: EnvironmentWorld) -> None:
    data = bytearray(live_file(world).read_bytes())
    data[len(data) // 2] ^= 0xFF
    live_file(world).write_bytes(data)


def swap(world: EnvironmentWorld) -> None:
    one, two = [path for path in objects(world, "file") if path.stat().st_size][:2]
    away = world.store / "tmp/away"
    one.rename(away)
    two.rename(one)
    away.rename(two)


def each(kind: str, harm: Callable[[Path], object]) -> Harm:
    def work(world: EnvironmentWorld) -> None:
        for path in objects(world, kind):
            harm(path)

    return work


def refs(text: str) -> Harm:
    def work(world: EnvironmentWorld) -> None:
        for path in (world.store / "repo/refs/heads/image").iterdir():
            path.write_text(text)

    return work


def other_refs(world: EnvironmentWorld) -> None:
    """Each image's ref names the other's commit."""
    one, two = sorted((world.store / "repo/refs/heads/image").iterdir())
    first, second = one.read_text(), two.read_text()
    one.write_text(second)
    two.write_text(first)


def as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def in_tree(harm: Callable[[Path], object]) -> Harm:
    return lambda world: (harm(live_file(world, "etc/jq")), None)[1]


def torn_pointer(world: EnvironmentWorld) -> None:
    for pointer in (world.store / "images").iterdir():
        pointer.unlink()
        pointer.symlink_to("../trees/nowhere")


def no_tree(world: EnvironmentWorld) -> None:
    run(["rm", "-r", str(live_file(world, ""))], timeout=60)


#: What was done, and what `fsck` calls it (a part and a word).
MENDABLE: dict[str, tuple[Harm, str, str]] = {
    "a flipped bit": (flip, "object", "content"),
    "truncated content": (each("file", lambda p: os.truncate(p, 0)), "object", "content"),
    "a truncated commit": (each("commit", lambda p: os.truncate(p, 40)), "object", "content"),
    "truncated directories": (each("dirtree", lambda p: os.truncate(p, 7)), "object", "content"),
    "deleted content": (each("file", Path.unlink), "object", "missing"),
    "deleted commits": (each("commit", Path.unlink), "object", "missing"),
    "deleted directories": (each("dirtree", Path.unlink), "object", "missing"),
    "swapped objects": (swap, "object", "content"),
    "wrong modes": (each("file", lambda p: p.chmod(0o777)), "object", "mode"),
    "no permission at all": (each("dirmeta", lambda p: p.chmod(0)), "object", "mode"),
    "a lost attribute": (
        each("file", lambda p: os.removexattr(p, "user.ostreemeta")),
        "object",
        "content",
    ),
    "an empty ref": (refs(""), "ref", "empty"),
    "a torn ref": (refs("abc"), "ref", "no checksum"),
    "a dangling ref": (refs("0" * 64 + "\n"), "ref", "dangling"),
    "refs that changed places": (other_refs, "ref", "names another image's commit"),
    "a dangling pointer": (torn_pointer, "pointer", "names no image"),
    "a tree that is gone": (no_tree, "tree", "missing"),
    "a file that is gone from a tree": (in_tree(Path.unlink), "tree", "missing"),
    "a link in the place of a file": (in_tree(as_link), "tree", "kind"),
}


@pytest.mark.parametrize("name", MENDABLE)
def test_mended(world: EnvironmentWorld, name: str) -> None:
    """Named with its path and who suffers; not zero until it is mended; mended to the byte."""
    harm, part, what = MENDABLE[name]
    before = {tree.name: digest(tree) for tree in (world.store / "trees").iterdir()}
    harm(world)
    code, found = said(world, "fsck")
    assert (code, found["reason"]) == DAMAGED
    mine = [fault for fault in found["faults"] if fault["part"] == part]
    assert mine
    assert any(fault["what"].startswith(what) for fault in mine), mine
    assert all(fault["name"] for fault in mine)
    suffering = {name for fault in found["faults"] for name in fault["sufferers"]}
    assert f"{world.here} generation 2" in suffering
    # Seeing is not mending, nor is planning.
    assert world.run("repair", "--dry-run").code == 7
    assert world.run("fsck").code == 7
    repaired = world.run("repair")
    assert repaired.code == 0, repaired
    assert world.run("fsck").code == 0
    assert world.state()["live"].startswith("bookworm curl jq")
    assert {tree.name: digest(tree) for tree in (world.store / "trees").iterdir()} == before


def test_what_has_no_source_stays(world: EnvironmentWorld) -> None:
    """S5: not zero, whatever is typed; nothing is lost; the way out is a source."""
    peer = world.base / "peer"
    run(["cp", "-a", str(world.store), str(peer)], timeout=60)
    for place in (world.store / "debs", world.live / "pool"):
        run(["rm", "-r", str(place)], timeout=60)
    (world.store / "debs").mkdir()
    damaged = [path for path in objects(world, "commit") if path.write_bytes(b"damaged")]
    for _ in range(2):
        assert said(world, "fsck")[1]["reason"] == "store-damaged"
        left = world.run("repair", "--from", str(world.base / "nowhere"))
        assert left.code == 7
        assert "no repository" in left.err
    assert all(path.read_bytes() == b"damaged" for path in damaged)
    assert world.run("repair", "--from", str(peer)).code == 0
    assert world.run("fsck").code == 0
    run(["rm", "-r", str(peer)], timeout=60)


# What is refused, and how one gets on

WRITERS = (("install", "python3"), ("gc",), ("fsck",), ("repair",))


def refused(world: EnvironmentWorld, reason: str, words: tuple[str, ...]) -> str:
    code, found = said(world, *words)
    assert code == 7, (words, found)
    assert found["error"]["reason"] == reason, words
    hint = found["error"]["hint"]
    assert isinstance(hint, str)
    return hint


def test_a_newer_format(world: EnvironmentWorld) -> None:
    (world.store / "format").write_text("2\n")
    for words in WRITERS:
        refused(world, "store-format", words)
    # The hint: another store.
    there = ("--store", str(world.live / "second"))
    assert world.run(*there, "fsck").code == 0


@pytest.mark.root
def test_another_users_store(world: EnvironmentWorld) -> None:
    os.chown(world.store, 12345, 12345)
    for words in WRITERS:
        refused(world, "store-foreign", words)
    os.chown(world.store, 0, 0)
    world.store.chmod(0o777)
    for words in WRITERS:
        hint = refused(world, "store-foreign", words)
    assert run(["sh", "-c", hint], timeout=10).ok
    assert world.run("install", "python3").code == 0


@pytest.mark.root
def test_a_read_only_store(world: EnvironmentWorld) -> None:
    """What changes something is refused; what only looks works, fsck too."""
    mount = ["mount", "--bind", str(world.store), str(world.store)]
    subprocess.run(mount, check=True, timeout=60)
    try:
        argv = ["mount", "-o", "remount,bind,ro", str(world.store)]
        subprocess.run(argv, check=True, timeout=60)
        for words in (("install", "python3"), ("gc",), ("repair",)):
            refused(world, "store-read-only", words)
        for words in (("fsck",), ("fsck", "--quick"), ("list",), ("generations",), ("history",)):
            assert world.run(*words).code == 0, words
    finally:
        subprocess.run(["umount", "-l", world.store], check=True, timeout=60)
    assert world.run("install", "python3").code == 0


@pytest.mark.root
def test_no_user_attributes(world: EnvironmentWorld) -> None:
    place = world.live / "ramfs"
    place.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", place], check=True, timeout=60)
    try:
        code, found = said(world, "--store", str(place / "store"), "fsck")
        assert (code, found["error"]["reason"]) == (7, "store-no-xattrs")
        assert re.search("ext4|xfs|btrfs", found["error"]["hint"])
        assert not (place / "store/format").exists()
    finally:
        subprocess.run(["umount", "-l", place], check=True, timeout=60)
