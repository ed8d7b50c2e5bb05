"""What a source is known for comes back byte for byte; nothing is lost on the way (S4, S5)."""

from __future__ import annotations

import os
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dolmen.environment import Environment, generations
from dolmen.environment.checking import check
from dolmen.environment.collecting import Policy, collect_garbage
from dolmen.environment.peering import named_peers
from dolmen.environment.repairing import Repaired, forget, repair
from dolmen.model import Lock
from dolmen.store import Image, Store
from dolmen.support.errors import ArchiveError, StoreError
from dolmen.support.events import Emit
from dolmen.support.files import remove_tree
from dolmen.support.run import run, spawn
from tests.lib.damage import build, installed
from tests.unit.store.conftest import store_dir

__all__ = ["store_dir"]


@pytest.fixture
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture
def whole(store: Store, tmp_path: Path) -> Environment:
    """An environment with one generation."""
    return installed(store, tmp_path / "project")


def mend(store: Store) -> Repaired:
    def again(lock: Lock, spare: Store, emit: Emit) -> Image:
        return build(spare, lock, store.path.parent / "pool")

    return repair(store, build=again)


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its mode, links by their targets."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = (0, os.readlink(path).encode())
        elif path.is_file():
            found[name] = (path.stat().st_mode, path.read_bytes())
    return found


def everything(store: Store) -> dict[str, tuple[int, bytes]]:
    parts = ("repo", "trees", "images", "debs", "roots")
    return {f"{p}/{n}": c for p in parts for n, c in contents(store.path / p).items()}


def image_of(environment: Environment) -> str:
    record = generations.current(environment)
    assert record is not None
    return record.generation.image


def objects(store: Store) -> list[Path]:
    return sorted(p for p in (store.path / "repo/objects").rglob("*") if p.is_file())


def test_nothing_to_do(store: Store, whole: Environment) -> None:
    before = everything(store)
    found = mend(store)
    assert (found.whole, found.found, found.quarantine) == (True, [], ())
    assert everything(store) == before


@pytest.mark.parametrize("harm", ["flip", "delete", "truncate"])
def test_all_objects_at_once(store: Store, whole: Environment, harm: str) -> None:
    """S4: everything that a store holds is damaged; .debs and locks give it all back."""
    before = everything(store)
    for path in objects(store):
        if harm == "delete":
            path.unlink()
        elif harm == "truncate":
            os.truncate(path, 0)
        else:
            path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))
    assert len(check(store).faults) >= 3
    found = mend(store)
    assert found.left == [], found.reasons
    assert everything(store) == before
    assert check(store).whole
    assert mend(store).found == []


@pytest.mark.parametrize("kind", ["file", "dirtree", "dirmeta", "commit"])
def test_one_object_of_each_kind(store: Store, whole: Environment, kind: str) -> None:
    before = everything(store)
    for path in [path for path in objects(store) if path.suffix == f".{kind}"][:4]:
        path.write_bytes(b"damaged")
        found = mend(store)
        assert found.left == [], found.reasons
        assert everything(store) == before
        (where,) = found.quarantine
        (kept,) = [p for p in where.iterdir() if p.name.endswith(kind)]
        assert kept.read_bytes() == b"damaged"


def test_beside_the_content(store: Store, whole: Environment) -> None:
    """Modes, times and attributes are set right where they are; no source is asked."""
    before = everything(store)
    for deb in store.debs.iterdir():
        deb.unlink()
    files = [path for path in objects(store) if path.suffix == ".file"]
    for number, path in enumerate(files):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o200)
        (
            lambda p: os.setxattr(p, "user.x", b"1"),
            lambda p: os.removexattr(p, "user.ostreemeta"),
            lambda p: os.utime(p, (9, 9)),
            lambda p: p.chmod(0o666),
            lambda p: p.chmod(0),
        )[number % 5](path)
        if number % 5 < 3:
            path.chmod(mode)
    found = repair(store)
    assert found.left == [], found.reasons
    assert found.quarantine == ()
    after = everything(store)
    assert after == {n: c for n, c in before.items() if not n.startswith("debs/")}


def test_a_write_through_a_tree(store: Store, whole: Environment) -> None:
    before = everything(store)
    path = store.trees / image_of(whole) / "usr/bin/jq"
    held = path.open("rb")
    with path.open("ab") as stream:
        stream.write(b"echo evil\n")
    found = mend(store)
    assert found.left == []
    assert everything(store) == before
    assert b"evil" in held.read()  # who runs from the old one goes on in it
    held.close()


def test_a_lost_name_comes_back_from_the_tree(store: Store, whole: Environment) -> None:
    """No .deb, no lock: the realised tree has the very file."""
    for path in store.debs.iterdir():
        path.unlink()
    tree = store.trees / image_of(whole)
    inode = (tree / "var/made").stat().st_ino
    (path,) = [p for p in objects(store) if p.stat().st_ino == inode]
    path.unlink()
    found = repair(store, build=lambda *_: pytest.fail("built"))
    assert found.left == [], found.reasons
    assert path.stat().st_ino == inode


def test_refs_pointers_trees(store: Store, whole: Environment) -> None:
    """S3: what a power cut leaves."""
    before = everything(store)
    image = image_of(whole)
    for ref in (store.path / "repo/refs/heads").rglob("*"):
        if ref.is_file():
            ref.write_text("")
    (pointer,) = store.images.iterdir()
    pointer.unlink()
    pointer.symlink_to(pointer)
    (store.trees / image / "usr/bin/jq").unlink()
    (store.trees / image / "usr/extra").write_text("kept in the quarantine")
    link = generations.directory_of(whole, 1) / "tree"
    link.unlink()
    found = mend(store)
    assert found.left == [], found.reasons
    assert everything(store) == before
    assert os.readlink(link) == str(store.trees / image)
    kept = [p.read_text() for where in found.quarantine for p in where.glob("tree-*/usr/extra")]
    assert kept == ["kept in the quarantine"]


def test_directories(store: Store, whole: Environment) -> None:
    before = everything(store)
    prefix = objects(store)[0].parent
    shutil.rmtree(prefix)
    prefix.write_text("no directory")
    objects(store)[5].parent.chmod(0)
    shutil.rmtree(store.images)
    shutil.rmtree(store.trees)
    found = mend(store)
    assert found.left == [], found.reasons
    after = everything(store)
    assert after == {n: c for n, c in before.items() if not n.startswith("images/")}


def test_dry_run(store: Store, whole: Environment) -> None:
    objects(store)[0].write_bytes(b"x")
    before = everything(store)
    found = repair(store, dry_run=True)
    assert found.plan
    assert not found.whole
    assert everything(store) == before
    assert not (store.path / "quarantine").exists()


def test_without_a_source(
    store: Store, whole: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S5: nothing is deleted, who suffers and why is told, and what can be mended is."""

    def unreachable(*_given: object, **_named: object) -> None:
        raise ArchiveError("no network", reason="fetch-failed")

    monkeypatch.setattr("dolmen.archive.fetch", unreachable)
    for path in store.debs.iterdir():
        path.unlink()
    tree = store.trees / image_of(whole)
    with (tree / "usr/bin/jq").open("ab") as stream:
        stream.write(b"x")
    (tree / "etc/jq").unlink()
    before = everything(store)

    def fails(lock: Lock, spare: Store, emit: Emit) -> Image:
        raise ArchiveError("no network", reason="fetch-failed")

    assert len(check(store).faults) == 2
    found = repair(store, build=fails)
    (fault,) = found.left
    assert (fault.part, fault.what, fault.path) == ("object", "content", "/usr/bin/jq")
    assert fault.sufferers == (f"{whole.directory} generation 1",)
    assert any("no network" in reason for reason in found.reasons)
    after = everything(store)
    assert after.items() >= before.items()
    assert set(after) - set(before) == {f"trees/{tree.name}/etc/jq"}
    assert not check(store).whole


def test_an_image_kept_by_hand(store: Store, whole: Environment) -> None:
    record = generations.directory_of(whole, 1) / "generation.json"
    record.write_text(record.read_text().replace('"modified": false', '"modified": true'))
    (store.trees / image_of(whole) / "var/made").open("a").write("x")
    found = mend(store)
    assert len(found.left) == 1
    assert any("as-is" in reason for reason in found.reasons)


def test_a_store_without_environments(store: Store, whole: Environment) -> None:
    """.debs in the cache are enough for packages; images that nobody knows are told."""
    before = everything(store)
    shutil.rmtree(whole.directory)
    store.remove_root(whole.directory)
    path = store.trees / os.listdir(store.trees)[0] / "usr/bin/jq"
    path.write_bytes(b"")
    assert mend(store).left == []
    after = everything(store)
    assert after == {n: c for n, c in before.items() if not n.startswith("roots/")}


# Peers


@pytest.fixture
def alone(store: Store, whole: Environment, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose .debs are gone and whose archive does not answer."""

    def unreachable(*_given: object, **_named: object) -> None:
        raise ArchiveError("no network", reason="fetch-failed")

    monkeypatch.setattr("dolmen.archive.fetch", unreachable)
    for deb in store.debs.iterdir():
        deb.unlink()
    return store


def fails(lock: Lock, spare: Store, emit: Emit) -> Image:
    raise ArchiveError("no network", reason="fetch-failed")


def without_objects(store: Store) -> None:
    for path in objects(store):
        path.unlink()
    for tree in list(store.trees.iterdir()):
        remove_tree(tree)


def copy_of(repo: Path, target: Path, mode: str) -> Path:
    """The same commits in a repository of another mode, by the program `ostree`."""
    for words in (["init", f"--mode={mode}"], ["pull-local", str(repo)]):
        assert run(["ostree", f"--repo={target}", *words], timeout=60).ok
    return target


@pytest.mark.parametrize("mode", ["store", "bare-user", "archive", "bare-user-only"])
def test_a_peer_gives_the_very_objects(alone: Store, tmp_path: Path, mode: str) -> None:
    before = everything(alone)
    if mode == "store":
        peer = tmp_path / "other"
        shutil.copytree(alone.path, peer, symlinks=True)
    else:
        peer = copy_of(alone.path / "repo", tmp_path / "other", mode)
    without_objects(alone)
    assert not repair(alone, build=fails).whole
    planned = repair(alone, dry_run=True, peers=[str(peer)], build=fails)
    assert any("ask" in action for _, action in planned.plan)
    found = repair(alone, peers=[str(peer)], build=fails)
    assert found.left == [], found.reasons
    assert everything(alone) == before


def test_a_peer_that_is_served(alone: Store, tmp_path: Path) -> None:
    before = everything(alone)
    served = copy_of(alone.path / "repo", tmp_path / "served", "archive")
    without_objects(alone)
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        wrong = repair(alone, peers=[f"{address}/nowhere"], build=fails)
        assert any("no repository" in reason for reason in wrong.reasons)
        found = repair(alone, peers=[address], build=fails)
        server.shutdown()
    assert found.left == [], found.reasons
    assert everything(alone) == before


def test_a_peer_is_not_believed(alone: Store, tmp_path: Path) -> None:
    """What is damaged there does not come here, and the next peer is asked."""
    before = everything(alone)
    liar, honest = tmp_path / "liar", tmp_path / "honest"
    for peer in (liar, honest):
        shutil.copytree(alone.path / "repo", peer, symlinks=True)
    for path in liar.rglob("objects/*/*"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b"x")
    without_objects(alone)
    assert not repair(alone, peers=[str(liar)], build=fails).whole
    assert objects(alone) == []
    found = repair(alone, peers=[str(liar), str(honest)], build=fails)
    assert found.left == [], found.reasons
    assert everything(alone) == before


def test_peers_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLMEN_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text('peers = "/a https://b/repo"\n')
    monkeypatch.chdir(tmp_path)
    assert named_peers(["here", "/a"]) == (str(tmp_path / "here"), "/a", "https://b/repo")


# What was replaced


def test_forgetting_what_was_replaced(store: Store, whole: Environment) -> None:
    assert forget(store) == 0
    path = next(path for path in objects(store) if path.suffix == ".dirtree")
    path.write_bytes(b"damaged")
    mend(store)
    path.write_bytes(b"damaged again")
    with pytest.raises(StoreError) as caught:
        forget(store)
    assert caught.value.reason == "store-damaged"
    assert len(list((store.path / "quarantine").iterdir())) == 1
    mend(store)
    (held, other) = sorted((store.path / "quarantine").iterdir())
    with next(held.iterdir()).open("rb"):
        # A process of its own: one's own descriptors do not count.
        with spawn(["sleep", "60"], cwd=held):
            assert forget(store) == 1
        assert held.is_dir()
        assert not other.exists()
    assert forget(store) == 1
    assert check(store).whole


def test_the_collector_removes_what_was_replaced_long_ago(store: Store, whole: Environment) -> None:
    path = next(path for path in objects(store) if path.suffix == ".dirtree")
    path.write_bytes(b"damaged")
    mend(store)
    (place,) = (store.path / "quarantine").iterdir()
    collect_garbage(store, Policy(grace=0))
    assert place.is_dir()
    found = collect_garbage(store, Policy(grace=0, quarantine=0))
    assert found.collected.counts["quarantine"] == 1
    assert not place.exists()
    assert check(store).whole
