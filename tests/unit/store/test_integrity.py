"""Damage of every kind is found, named and told apart (security table S1, S2)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dolmen.store import Image, Store


@pytest.fixture
def image(store: Store) -> Image:
    with store.tree_builder() as builder:
        builder.add_file("usr/bin/tool", b"tool" * 1000, mode=0o755)
        builder.add_file("etc/empty", b"")
        builder.add_file("etc/copy", b"tool" * 1000)
        builder.add_symlink("usr/l", "bin/tool")
        return builder.commit()


def kinds(store: Store, image: Image) -> list[tuple[str, str, str]]:
    return [(damage.path, damage.kind, damage.what) for damage in store.check(image.commit)]


def invert(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"x")


def test_every_single_object(store: Store, image: Image) -> None:
    assert kinds(store, image) == []
    found = [p for p in (store.path / "repo/objects").rglob("*") if p.is_file()]
    assert {p.suffix for p in found} == {".file", ".dirtree", ".dirmeta", ".commit"}
    for path in found:
        content = path.read_bytes()
        if content and content != b"bin/tool\0":
            invert(path)
            assert {what for _, _, what in kinds(store, image)} == {"content"}, path
            path.write_bytes(content)
        away = path.with_suffix(".gone")
        path.rename(away)
        assert {what for _, _, what in kinds(store, image)} == {"missing"}, path
        away.rename(path)
        assert kinds(store, image) == []


@pytest.mark.parametrize("path", ["/usr/bin/tool", "/usr/l"])
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda path: path.write_bytes(b""), "content"),
        (append, "content"),
        (lambda path: path.chmod(0o777), "mode"),
        (lambda path: os.setxattr(path, "user.ostreemeta", bytes(12)), "content"),
        (lambda path: os.removexattr(path, "user.ostreemeta"), "content"),
    ],
)
def test_harm(
    store: Store, image: Image, path: str, harm: Callable[[Path], object], what: str
) -> None:
    (entry,) = [entry for entry in store.walk(image.commit) if entry.path == path]
    assert kinds(store, image) == []
    harm(store.path / "repo/objects" / entry.checksum[:2] / f"{entry.checksum[2:]}.file")
    assert kinds(store, image) == [(path, "file", what)]


def test_writing_through_a_realised_tree(store: Store, image: Image) -> None:
    """Why nobody may write there: the object is the same inode."""
    tree = store.realise(image)
    append(tree / "usr/bin/tool")
    assert kinds(store, image) == [("/usr/bin/tool", "file", "content")]
