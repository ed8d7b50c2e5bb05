"""Our reading and writing of libostree's formats, against libostree's own."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.model import Sha256
from dolmen.store import objects
from dolmen.store.objects import Objects
from dolmen.store.transaction import INLINE_LIMIT, Transaction
from dolmen.support.errors import StoreError

gi = pytest.importorskip("gi")
gi.require_version("OSTree", "1.0")
from gi.repository import Gio, GLib, OSTree  # noqa: E402

CHECKSUMS = st.binary(min_size=32, max_size=32).map(lambda data: Sha256(data.hex()))
TEXT = st.characters(min_codepoint=1, max_codepoint=0xD7FF)
NAMES = st.text(TEXT.filter(lambda character: character != "/"), min_size=1, max_size=90)


@pytest.fixture
def theirs(tmp_path: Path) -> Any:
    repo = OSTree.Repo.new(Gio.File.new_for_path(str(tmp_path / "theirs")))
    repo.create(OSTree.RepoMode.BARE_USER, None)
    return repo


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Transaction]:
    repo = OSTree.Repo.new(Gio.File.new_for_path(str(tmp_path / "ours")))
    repo.create(OSTree.RepoMode.BARE_USER, None)
    (tmp_path / "tmp").mkdir()
    transaction = Transaction(tmp_path / "ours", tmp_path / "tmp")
    yield transaction
    transaction.abort()


@given(
    st.dictionaries(NAMES, CHECKSUMS, max_size=40),
    st.dictionaries(NAMES, st.tuples(CHECKSUMS, CHECKSUMS), max_size=40),
)
def test_dirtree(files: dict[str, Sha256], dirs: dict[str, tuple[Sha256, Sha256]]) -> None:
    data = objects.encode_dirtree(files, dirs)
    tree = objects.decode_dirtree(data)
    assert (tree.files, tree.dirs) == (files, dirs)
    variant = GLib.Variant.new_from_bytes(
        GLib.VariantType.new(objects.DIRTREE_TYPE), GLib.Bytes.new(data), False
    )
    assert variant.is_normal_form()
    theirs = variant.unpack()
    assert {name: bytes(checksum).hex() for name, checksum in theirs[0]} == files
    assert {n: (bytes(t).hex(), bytes(m).hex()) for n, t, m in theirs[1]} == dirs
    assert [name for name, _ in theirs[0]] == sorted(files, key=str.encode)


@given(st.binary(max_size=200))
def test_damaged_dirtree(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        objects.decode_dirtree(data)


@given(CHECKSUMS, CHECKSUMS, st.text(TEXT))
def test_commit(tree: Sha256, meta: Sha256, subject: str) -> None:
    data = objects.encode_commit(tree, meta, subject=subject)
    assert objects.decode_commit(data) == objects.Commit(tree, meta)
    variant = GLib.Variant.new_from_bytes(
        GLib.VariantType.new(objects.COMMIT_TYPE), GLib.Bytes.new(data), False
    )
    assert variant.is_normal_form()
    metadata, parent, related, theirs, body, time, root, root_meta = variant.unpack()
    assert (metadata, parent, related, theirs, body, time) == ({}, [], [], subject, "", 0)
    assert (bytes(root).hex(), bytes(root_meta).hex()) == (tree, meta)


def same_object(ours: str, theirs: str) -> None:
    assert Path(ours).read_bytes() == Path(theirs).read_bytes()
    one, two = os.stat(ours), os.stat(theirs)
    assert stat.filemode(one.st_mode) == stat.filemode(two.st_mode)
    assert one.st_mtime == two.st_mtime == 0
    assert (one.st_uid, one.st_gid) == (two.st_uid, two.st_gid)
    mine = set(os.listxattr(ours)) - {"security.selinux"}
    assert mine == set(os.listxattr(theirs)) - {"security.selinux"}
    for name in mine:
        assert os.getxattr(ours, name) == os.getxattr(theirs, name)


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o000, 0o444, 0o666, 0o777, 0o020])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_files(ours: Transaction, theirs: Any, tmp_path: Path, mode: int, umask: int) -> None:
    old = os.umask(umask)
    try:
        checksum = ours.write_file(b"content", mode)
        ours.finish()
    finally:
        os.umask(old)
    theirs.prepare_transaction(None)
    wanted = theirs.write_regfile_inline(None, 0, 0, stat.S_IFREG | mode, None, b"content", None)
    theirs.commit_transaction(None)
    assert checksum == wanted == objects.file_checksum(b"content", mode)
    same_object(
        Objects(tmp_path / "ours").path(checksum, "file"),
        Objects(tmp_path / "theirs").path(checksum, "file"),
    )
    assert stat.S_IMODE(Objects(tmp_path / "ours").mode(checksum)) == mode


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT - 1, INLINE_LIMIT, 3 * INLINE_LIMIT + 5])
def test_streams(ours: Transaction, theirs: Any, size: int) -> None:
    content = os.urandom(size)
    pieces = [content[i : i + 1000] for i in range(0, size, 1000)]
    checksum = ours.write_stream(pieces, size, 0o644)
    assert checksum == ours.write_file(content, 0o644)
    theirs.prepare_transaction(None)
    assert checksum == theirs.write_regfile_inline(None, 0, 0, 0o100644, None, content, None)
    with pytest.raises(ValueError, match="size"):
        ours.write_stream([b"x"], 2, 0o644)


@pytest.mark.parametrize("target", ["x", "../ü", "/" + "long" * 200])
def test_symlinks(ours: Transaction, theirs: Any, tmp_path: Path, target: str) -> None:
    checksum = ours.write_symlink(target)
    assert ours.objects.link_target(checksum) == target
    ours.finish()
    theirs.prepare_transaction(None)
    assert checksum == theirs.write_symlink(None, 0, 0, None, target, None)
    theirs.commit_transaction(None)
    same_object(
        Objects(tmp_path / "ours").path(checksum, "file"),
        Objects(tmp_path / "theirs").path(checksum, "file"),
    )


def test_ostree_reads_what_we_wrote(ours: Transaction, tmp_path: Path) -> None:
    file = ours.write_file(b"hello\n", 0o755)
    link = ours.write_symlink("hello")
    meta = ours.write_metadata("dirmeta", objects.encode_dirmeta(0o755))
    below = ours.write_metadata("dirtree", objects.encode_dirtree({"l": link}, {}))
    tree = ours.write_metadata(
        "dirtree", objects.encode_dirtree({"hello": file}, {"d": (below, meta)})
    )
    commit = ours.write_metadata("commit", objects.encode_commit(tree, meta, subject="it"))
    ours.finish([("a/ref", commit)])

    def ostree(*argv: str) -> str:
        done = subprocess.run(
            ["ostree", f"--repo={tmp_path / 'ours'}", *argv],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    assert ostree("rev-parse", "a/ref").strip() == commit
    assert ostree("cat", "a/ref", "/hello") == "hello\n"
    ostree("fsck")
    log = ostree("log", "a/ref")
    assert objects.root_checksum(tree, meta) in log
    assert "1970-01-01 00:00:00 +0000" in log
    assert ostree("ls", "-R", "a/ref").splitlines() == [
        "d00755 0 0      0 /",
        "-00755 0 0      6 /hello",
        "d00755 0 0      0 /d",
        "l00777 0 0      0 /d/l -> hello",
    ]


def test_missing_and_damaged(ours: Transaction, tmp_path: Path) -> None:
    reader = Objects(tmp_path / "ours")
    with pytest.raises(StoreError) as caught:
        reader.read("0" * 64)
    assert caught.value.reason == "object-missing"
    tree = ours.write_metadata("dirtree", objects.encode_dirtree({}, {}))
    file = ours.write_file(b"x", 0o644)
    ours.finish()
    Path(reader.path(tree, "dirtree")).write_bytes(b"\x07garbage")
    os.removexattr(reader.path(file, "file"), "user.ostreemeta")
    for read in (lambda: reader.dirtree(tree), lambda: reader.mode(file)):
        with pytest.raises(StoreError) as caught:
            read()
        assert caught.value.reason == "object-damaged"


def test_nothing_is_visible_before_the_end(ours: Transaction, tmp_path: Path) -> None:
    reader = Objects(tmp_path / "ours")
    checksum = ours.write_file(b"x", 0o644)
    assert ours.objects.read(checksum) == b"x"
    assert not reader.has(checksum, "file")
    ours.abort()
    assert list((tmp_path / "tmp").iterdir()) == []
    again = Transaction(tmp_path / "ours", tmp_path / "tmp")
    again.write_file(b"x", 0o644)
    again.finish()
    assert reader.read(checksum) == b"x"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_who_is_second_keeps_the_first_inode(ours: Transaction, tmp_path: Path) -> None:
    other = Transaction(tmp_path / "ours", tmp_path / "tmp")
    checksum = ours.write_file(b"x", 0o644)
    assert other.write_file(b"x", 0o644) == checksum
    other.finish()
    path = Objects(tmp_path / "ours").path(checksum, "file")
    inode = os.stat(path).st_ino
    ours.finish()
    assert os.stat(path).st_ino == inode
