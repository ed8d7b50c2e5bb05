"""Two trees and where they differ."""

from __future__ import annotations

from dolmen.model import Sha256
from dolmen.store import Store


def commit(store: Store, files: dict[str, bytes | str], directories: dict[str, int]) -> Sha256:
    """A tree: bytes are files, texts are symbolic links."""
    with store.tree_builder() as builder:
        for path, mode in directories.items():
            builder.add_directory(path, mode)
        for path, content in files.items():
            if isinstance(content, bytes):
                builder.add_file(path, content)
            else:
                builder.add_symlink(path, content)
        return builder.commit().commit


def test_every_kind_of_difference(store: Store) -> None:
    before = commit(
        store,
        {
            "same/deep/file": b"1",
            "a/content": b"1",
            "a/gone": b"1",
            "a/kind": b"1",
            "a/link": "x",
            "turns": b"file",
        },
        {"modes": 0o755, "empty": 0o755},
    )
    after = commit(
        store,
        {
            "same/deep/file": b"1",
            "a/content": b"2",
            "a/new/file": b"1",
            "a/kind": "content",
            "a/link": "y",
            "turns/into": b"directory",
        },
        {"modes": 0o700},
    )
    found = [
        (one.path, one.what, one.kind_before, one.kind_after)
        for one in store.compare(before, after)
    ]
    assert found == [
        ("/a/content", "content", "f", "f"),
        ("/a/gone", "removed", "f", ""),
        ("/a/kind", "kind", "f", "l"),
        ("/a/link", "content", "l", "l"),
        ("/a/new", "added", "", "d"),
        ("/a/new/file", "added", "", "f"),
        ("/empty", "removed", "d", ""),
        ("/modes", "mode", "d", "d"),
        ("/turns", "removed", "f", ""),
        ("/turns", "added", "", "d"),
        ("/turns/into", "added", "", "f"),
    ]
    assert list(store.compare(before, before)) == []


def test_reading_follows_links_within_the_tree(store: Store) -> None:
    reader = store.reader(
        commit(
            store,
            {
                "usr/share/doc/a/changelog.gz": b"A",
                "usr/share/doc/b": "a",
                "usr/share/doc/c": "/usr/share/doc/b",
                "doc": "usr/share/doc",
                "out": "../../../etc/passwd",
                "etc/passwd": b"inside",
                "loop": "loop",
                "dangling": "nothing",
            },
            {},
        )
    )
    assert reader.read("/usr/share/doc/a/changelog.gz", 10) == b"A"
    assert reader.read("/usr/share/doc/c/changelog.gz", 10) == b"A"
    assert reader.read("/doc/b/changelog.gz", 10) == b"A"
    assert reader.read("/out", 10) == b"inside"
    assert reader.read("/etc/passwd", 2) is None
    for path in ("/loop", "/dangling", "/nothing/at/all", "/usr", "/etc/passwd/x", "/"):
        assert reader.read(path, 10) is None
    assert set(reader.names("/usr/share/doc")) == {"b", "c"}
    assert reader.names("/nothing") == {}
