"""Damage of every kind is named, told apart, and never stops the check (table S1, S2, S3)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dolmen.model.digest import digest_text
from dolmen.store import Image, Store
from dolmen.store.fsck import Fault, check_store
from tests.lib.debs import Entry, Link, lock_entry, make_deb

KEY = digest_text("key")


@pytest.fixture
def image(store: Store, debs: Path) -> Image:
    """A package, an image of it with something more, realised and recorded; its .deb is kept."""
    files: dict[str, Entry] = {"usr/bin/tool": b"tool" * 1000, "etc/empty": b""}
    files["usr/l"] = Link("bin/tool")
    deb = make_deb(debs, "tool", files=files)
    package = lock_entry(deb)
    shutil.copy(deb, store.debs / f"{package.sha256}.deb")
    store.import_packages([(package, deb)])
    with store.tree_builder() as builder:
        builder.merge_package(package.sha256)
        builder.add_file("usr/made", b"made by a script")
        made = builder.commit()
    store.realise(made)
    store.record_image(KEY, made)
    return made


def faults(store: Store, *, quick: bool = False) -> list[Fault]:
    return check_store(store.path, quick=quick).faults


def said(store: Store, *, quick: bool = False) -> set[tuple[str, str, str]]:
    return {(f.part, f.what, f.path or f.name) for f in faults(store, quick=quick)}


def object_of(store: Store, image: Image, path: str) -> Path:
    (entry,) = [entry for entry in store.walk(image.commit) if entry.path == path]
    return store.path / f"repo/objects/{entry.checksum[:2]}/{entry.checksum[2:]}.file"


def objects(store: Store) -> list[Path]:
    return sorted(p for p in (store.path / "repo/objects").rglob("*") if p.is_file())


def test_a_whole_store(store: Store, image: Image) -> None:
    found = check_store(store.path)
    assert (found.faults, found.leftovers) == ([], [])
    assert found.counts == {
        "refs": 2,
        "objects": len(objects(store)),
        "pointers": 1,
        "trees": 1,
        "debs": 1,
    }
    assert faults(store, quick=True) == []


def test_every_object_flipped(store: Store, image: Image) -> None:
    """S1: each is named, with path and holders, and nothing else is; quick sees the write."""
    assert faults(store) == []
    for path in objects(store):
        content = path.read_bytes()
        if not content:
            continue
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 0xFF
        path.write_bytes(flipped)
        for quick in (False, True):
            mine = [f for f in faults(store, quick=quick) if f.part == "object"]
            name = f"{path.parent.name}{path.name}"
            assert [(f.name, f.what) for f in mine] == [(name, "content")], path
            assert mine[0].path.startswith("/")
            assert mine[0].refs
        path.write_bytes(content)
        os.utime(path, (0, 0))
    assert faults(store) == []


def test_every_object_deleted(store: Store, image: Image) -> None:
    for path in objects(store):
        away = store.tmp / "away"
        path.rename(away)
        mine = {(f.name, f.what) for f in faults(store) if f.part == "object"}
        assert (f"{path.parent.name}{path.name}", "missing") in mine, path
        away.rename(path)
    assert faults(store) == []


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda path: os.truncate(path, 0), "content"),
        (lambda path: path.open("ab").write(b"x"), "content"),
        (lambda path: path.chmod(0o777), "mode"),
        (lambda path: os.setxattr(path, "user.ostreemeta", bytes(12)), "content"),
        (lambda path: os.removexattr(path, "user.ostreemeta"), "content"),
        (lambda path: os.setxattr(path, "user.other", b"x"), "xattr"),
        (lambda path: os.utime(path, (1, 1)), "time"),
        (lambda path: (path.unlink(), path.mkdir()), "content"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "content"),
        (as_fifo, "content"),
    ],
)
@pytest.mark.parametrize("path", ["/usr/bin/tool", "/usr/l"])
def test_harm(
    store: Store, image: Image, path: str, harm: Callable[[Path], object], what: str
) -> None:
    """S2; the tree, where it is another file now, is not told a second time."""
    assert faults(store) == []
    harm(object_of(store, image, path))
    for quick in (False, True):
        found = [f for f in faults(store, quick=quick) if f.part != "package"]
        assert [(f.part, f.what) for f in found] == [("object", what)]
        assert {ref.split("/")[0] for ref in found[0].refs} == {"deb", "image"}


def test_two_objects_swapped(store: Store, image: Image) -> None:
    one = object_of(store, image, "/usr/bin/tool")
    two = object_of(store, image, "/usr/made")
    one.rename(store.tmp / "x")
    two.rename(one)
    (store.tmp / "x").rename(two)
    found = {f.name: f.what for f in faults(store) if f.part == "object"}
    names = {f"{path.parent.name}{path.name}" for path in (one, two)}
    assert found == dict.fromkeys(names, "content")


def test_an_object_nobody_needs(store: Store, image: Image) -> None:
    """It would be taken for a good one by the next import."""
    name = digest_text("nobody")
    path = store.path / f"repo/objects/{name[:2]}/{name[2:]}.file"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    (found,) = faults(store)
    assert (found.part, found.name, found.refs) == ("object", f"{name}.file", ())


@pytest.mark.parametrize("text", ["", "no checksum\n", "f" * 64 + "\n", "\0\xff"])
def test_refs(store: Store, image: Image, text: str) -> None:
    """S3: empty after a power cut, and so on."""
    ref = store.path / "repo/refs/heads/image" / image.root
    ref.write_text(text, encoding="latin-1")
    found = {(f.part, f.name) for f in faults(store)}
    assert ("ref", f"image/{image.root}") in found


def test_refs_to_the_wrong_thing(store: Store, image: Image) -> None:
    ref = store.path / "repo/refs/heads/image" / image.root
    good = ref.read_text()
    tree = store._objects.commit(image.commit).tree
    (deb,) = [name for name in store.refs() if name.startswith("deb/")]
    other = store.resolve(deb)
    for text, what in (
        (tree, "names a dirtree, not a commit"),
        (other, "names another image's commit"),
    ):
        ref.write_text(f"{text}\n")
        assert ("ref", what, f"image/{image.root}") in said(store)
    ref.write_text(good)
    (store.path / "repo/refs/heads" / deb).write_text(good)
    assert any(f.part == "ref" and f.name == deb for f in faults(store))


def test_pointers(store: Store, image: Image) -> None:
    pointer = store.images / KEY
    for target in ("nowhere", f"../trees/{'f' * 64}", KEY):
        pointer.unlink()
        pointer.symlink_to(target)
        (found,) = faults(store)
        assert (found.part, found.name) == ("pointer", KEY)
    pointer.unlink()
    pointer.write_text("")
    assert [f.part for f in faults(store)] == ["pointer"]


def test_trees(store: Store, image: Image) -> None:
    tree = store.trees / image.root
    (tree / "usr/extra").write_text("x")
    (tree / "usr/made").unlink()
    (tree / "usr/l").unlink()
    (tree / "usr/l").symlink_to("elsewhere")
    content = (tree / "usr/bin/tool").read_bytes()
    (tree / "usr/bin/tool").unlink()
    (tree / "usr/bin/tool").write_bytes(content[::-1])
    (tree / "usr/bin/tool").chmod(0o755)
    (tree / "etc").chmod(0o700)
    wanted = {
        ("tree", "extra", "/usr/extra"),
        ("tree", "missing", "/usr/made"),
        ("tree", "target", "/usr/l"),
        ("tree", "content", "/usr/bin/tool"),
        ("tree", "mode", "/etc"),
    }
    assert said(store) == wanted
    assert said(store, quick=True) == wanted


def test_a_copy_in_a_tree_is_as_good(store: Store, image: Image) -> None:
    path = store.trees / image.root / "usr/bin/tool"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o755)
    os.utime(path, (0, 0))
    assert faults(store) == []


def test_a_write_through_a_tree(store: Store, image: Image) -> None:
    """The object is the same inode: both checks find it, and name it once."""
    with (store.trees / image.root / "usr/bin/tool").open("ab") as stream:
        stream.write(b"x")
    for quick in (True, False):
        assert said(store, quick=quick) == {("object", "content", "/usr/bin/tool")}


def test_debs_roots_and_leftovers(store: Store, image: Image, tmp_path: Path) -> None:
    store.add_root(tmp_path)
    assert faults(store) == []
    (deb,) = store.debs.iterdir()
    deb.write_bytes(b"!<arch>\n")
    (store.path / "roots/0123").symlink_to(tmp_path)
    (store.path / "leases").mkdir()
    (store.path / "leases/0123").write_text("{")
    (store.tmp / "work-1").mkdir()
    found = check_store(store.path)
    assert [(f.part, f.name) for f in found.faults] == [
        ("deb", deb.name),
        ("root", "0123"),
        ("root", "0123"),
    ]
    assert found.leftovers == ["tmp/work-1"]


def test_what_libostree_wrote_is_whole(store: Store, tmp_path: Path) -> None:
    from dolmen.support.run import run

    (tmp_path / "tree/usr").mkdir(parents=True)
    (tmp_path / "tree/usr/file").write_text("x" * 100)
    (tmp_path / "tree/usr/link").symlink_to("file")
    argv = ["ostree", f"--repo={store.path / 'repo'}", "commit", "-b", "mine"]
    argv += ["--canonical-permissions", "-s", "x", str(tmp_path / "tree")]
    assert run(argv, timeout=60).ok
    assert faults(store) == []
    assert faults(store, quick=True) == []


def test_directories(store: Store, image: Image) -> None:
    for name in ("images", "trees", "repo/refs/heads"):
        path = store.path / name
        path.rename(store.path / "away")
        found = faults(store)
        assert ("directory", "missing", name) in {(f.part, f.what, f.name) for f in found}
        path.write_text("")
        found = faults(store)
        assert ("directory", "kind", name) in {(f.part, f.what, f.name) for f in found}
        path.unlink()
        (store.path / "away").rename(path)
    prefix = object_of(store, image, "/usr/made").parent
    prefix.chmod(0o500)
    assert [(f.part, f.what) for f in faults(store)] == [("directory", "mode")]
    prefix.chmod(0o755)
    assert faults(store) == []
