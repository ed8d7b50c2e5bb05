"""Repositories read from their files, against what libostree and its command say of the same."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.store.repo import (
    changing,
    checking,
    commits,
    contents,
    exporting,
    parallel,
    refs,
    variant,
)
from dolmen.store.repo import tree as trees
from dolmen.store.repo.reach import Reach, checksums
from dolmen.store.repo.repository import MODES, Repository
from dolmen.support.errors import DolmenError, StoreError, UsageError

gi = pytest.importorskip("gi")
gi.require_version("OSTree", "1.0")
from gi.repository import Gio, GLib, OSTree  # noqa: E402

SIMPLE_MODES = [mode for mode in MODES if mode != "archive-z2"]
VALUES = """
{'a': <uint64 5>, 'b': <[byte 0x01, 0x02]>, 'c': <('x', true, 5, [1, 2])>}
@a{sv} {}
('a',)
()
@ay []
b'hello'
b'he\\'l\\"lo\\n\\001\\377'
[(b'user.x', b'v'), (b'z', [byte 1, 0])]
@a(ayay) []
{'a': <@a{sv} {}>, 'deep': <<<'x'>>>}
[uint16 5, 6]
@mi nothing
@ms 'x'
@mmi just nothing
['x', 'y\\'s', 'ü', '\\u200b', 'a\\nb']
{uint32 5: 'x', 6: 'y'}
(1, byte 2, uint64 3, 'x', int16 -5, 1.5, 0.1, 1e300)
[[], ['a']]
[true, false]
@a(say) [('x', b'yy')]
(objectpath '/a', signature 'as', int64 -1, handle 3)
""".strip().splitlines()


def ostree(*argv: str, cwd: Path) -> str:
    done = subprocess.run(
        ["ostree", *argv], cwd=cwd, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


@pytest.fixture(params=SIMPLE_MODES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a repository of each mode: two commits of main, one of other."""
    mode = request.param
    if mode == "bare" and os.geteuid() != 0:
        pytest.skip("only root gives files to others")
    tree = tmp_path / "tree"
    (tree / "d" / "e").mkdir(parents=True)
    (tree / "d/f").write_text("one\n")
    (tree / "empty").touch()
    (tree / "large").write_bytes(os.urandom(300_000))
    (tree / "link").symlink_to("d/f")
    (tree / ("ü" * 60)).write_text("a name that ustar has no room for\n")
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o755)
    ostree("--repo=repo", "init", f"--mode={mode}", cwd=tmp_path)
    commit = ("--repo=repo", "commit", "--fsync=false", "--no-xattrs", "--canonical-permissions")
    ostree(*commit, "-b", "main", "-s", "first", "--timestamp=@1000", "tree", cwd=tmp_path)
    (tree / "d/f").write_text("two\n")
    (tree / "new").write_text("new\n")
    (tree / "empty").unlink()
    more = ("-s", "second", "-m", "a body\nof two lines", "--add-metadata-string=version=1.2")
    ostree(*commit, "-b", "main", *more, "--timestamp=@2000", "tree", cwd=tmp_path)
    ostree(*commit, "-b", "x/other", "--timestamp=@500", "tree", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", VALUES)
def test_variants_are_read_and_written_as_by_glib(words: str) -> None:
    theirs = GLib.Variant.parse(None, words, None, None)
    kind = theirs.get_type_string()
    value = variant.read(kind, bytes(theirs.get_data_as_bytes().get_data() or b""))
    assert variant.text(kind, value) == theirs.print_(True)
    assert variant.text(kind, value, annotated=False) == theirs.print_(False)
    swapped = variant.text(kind, variant.swapped(kind, value))
    assert swapped == theirs.byteswap().print_(True)


@given(st.binary(max_size=120), st.sampled_from(["a{sv}", commits.TYPE, "a(ayay)", "v", "mms"]))
def test_no_bytes_break_the_reader(data: bytes, kind: str) -> None:
    for read in (
        lambda: variant.read(kind, data),
        lambda: trees.decode(data),
        lambda: checksums(data),
        lambda: commits.Commit("0" * 64, data),
    ):
        with contextlib.suppress(ValueError, IndexError, StoreError):
            read()


def test_every_entry(place: Path) -> None:
    repository = Repository(place / "repo")
    repo = OSTree.Repo.new(Gio.File.new_for_path(str(place / "repo")))
    repo.open(None)
    tree = trees.Tree(repository, commits.resolve(repository, "main"))
    entries = list(tree.walk(tree.root))
    assert len(entries) == 9
    for entry in entries:
        if entry.is_directory:
            continue
        _, _, info, xattrs = repo.load_file(entry.checksum, None)
        assert info.get_attribute_uint32("unix::mode") == entry.mode
        assert info.get_attribute_uint32("unix::uid") == entry.uid
        assert bytes(xattrs.get_data_as_bytes().get_data() or b"") == entry.serialised
        if entry.target is None:
            assert info.get_size() == entry.size
            data = b"".join(tree.read(entry))
            assert len(data) == entry.size
        else:
            assert info.get_symlink_target() == entry.target == "d/f"
    assert b"".join(tree.read(tree.follow("link"))) == b"two\n"


def test_names_of_commits(place: Path) -> None:
    repository = Repository(place / "repo")
    two = ostree("--repo=repo", "rev-parse", "main", cwd=place).strip()
    one = ostree("--repo=repo", "rev-parse", "main^", cwd=place).strip()
    for name, named in {
        "main": two,
        "main^": one,
        "main@{0}": two,
        "main@{1}": one,
        "main@{@1999}": one,
        "main@{@2000}": two,
        "main@{1970-01-01 00:20 UTC}": one,
        "main@{yesterday}": two,
        "main@{2.days.ago}": two,
        "main@{yesterday}^": one,
        f"{two[:20]}@{{1}}": one,
    }.items():
        assert commits.resolve(repository, name) == named, name
    for name in ("main@{2}", "main@{@999}", "none@{1}", "main@", "main@{", "@{1}"):
        with pytest.raises(StoreError) as caught:
            commits.resolve(repository, name)
        assert caught.value.reason == "no-revision", name
    with pytest.raises(UsageError):
        commits.resolve(repository, "main@{no such day}")


def test_refs_and_aliases(place: Path) -> None:
    repository = Repository(place / "repo")
    ostree("--repo=repo", "refs", "--create=alias", "-A", "main", cwd=place)
    assert list(refs.listed(repository)) == ["alias", "main", "x/other"]
    assert refs.listed(repository, aliases=True) == {"alias": "main"}
    assert list(refs.listed(repository, "x")) == ["x/other"]
    assert commits.resolve(repository, "alias") == commits.resolve(repository, "main")
    (place / "repo/refs/heads/bad").write_text("junk\n")
    with pytest.raises(StoreError) as caught:
        commits.resolve(repository, "bad")
    assert caught.value.reason == "no-revision"
    for name in ("../../config", "a//b", ".x", "a b"):
        with pytest.raises(StoreError) as caught:
            refs.lookup(repository, name)
        assert caught.value.reason == "no-revision"


def test_a_check_finds_what_ostree_finds(place: Path) -> None:
    repository = Repository(place / "repo")
    assert checking.fsck(repository, checking.Wish(bindings=True)).clean
    tree = trees.Tree(repository, commits.resolve(repository, "main"))
    large = Path(repository.place(tree.find("/large").checksum, "file"))
    large.chmod(0o644)
    data = large.read_bytes()
    large.write_bytes(data[:-9] + b"x" * 9)
    done = subprocess.run(
        ["ostree", "--repo=repo", "fsck", "-a"], cwd=place, capture_output=True, timeout=60
    )
    assert done.returncode != 0
    found = checking.fsck(repository, checking.Wish(whole=True))
    (damage,) = found.damages
    assert (damage.path, damage.missing) == ("/large", False)
    assert set(damage.commits) == set(repository.commits())
    assert not found.marked
    found = checking.fsck(repository, checking.Wish(delete=True))
    assert sorted(found.marked) == repository.commits()
    assert not large.exists()
    assert checking.fsck(repository, checking.Wish()).broken == repository.commits()


def test_a_tombstone_is_libostrees(place: Path) -> None:
    repository = Repository(place / "repo")
    gone = commits.resolve(repository, "main^")
    changing.enable_tombstones(repository)
    changing.delete_object(repository, gone, "commit")
    assert Repository(place / "repo").flag("tombstone-commits")
    path = place / f"repo/objects/{gone[:2]}/{gone[2:]}.tombstone-commit"
    theirs = GLib.Variant("a{sv}", {"commit": GLib.Variant("ay", gone.encode() + b"\0")})
    assert path.read_bytes() == bytes(theirs.get_data_as_bytes().get_data())
    log = ostree("--repo=repo", "log", "main", cwd=place)
    assert "History beyond this commit not fetched" in log


def test_archives_are_read_by_others(place: Path) -> None:
    repository = Repository(place / "repo")
    tree = trees.Tree(repository, commits.resolve(repository, "main"))
    memory = io.BytesIO()
    exporting.export(tree, memory)
    with (place / "a.tar").open("wb", buffering=0) as stream:
        assert exporting.export(tree, stream) == 9
    assert (place / "a.tar").read_bytes() == memory.getvalue()
    with tarfile.open(place / "a.tar") as archive:
        names = [member.name for member in archive]
        assert "ü" * 60 in names
        found = archive.extractfile("large")
        assert found is not None
        assert found.read() == (place / "tree/large").read_bytes()
        assert archive.getmember("link").linkname == "d/f"
        assert {member.mtime for member in archive} == {2000}


def test_what_commits_need(place: Path) -> None:
    repository = Repository(place / "repo")
    repo = OSTree.Repo.new(Gio.File.new_for_path(str(place / "repo")))
    repo.open(None)
    two = commits.resolve(repository, "main")
    reach = Reach(repository)
    reach.history(two, -1)
    kinds = {1: "file", 2: "dirtree", 3: "dirmeta", 4: "commit"}
    theirs = {key.unpack() for key in repo.traverse_commit(two, -1, None)[1]}
    assert reach.objects() == {(name, kinds[kind]) for name, kind in theirs}


def test_attributes(tmp_path: Path) -> None:
    pairs = [(b"user.a\0", b"1"), (b"user.b\0", b"x" * 300), (b"user.c\0", b"")]
    theirs = GLib.Variant("a(ayay)", pairs)
    data = contents.serialise(pairs)
    assert data == bytes(theirs.get_data_as_bytes().get_data())
    assert contents.pairs(data) == tuple((n[:-1].decode(), v) for n, v in pairs)


def _odd(number: int) -> int | None:
    return number * 2 if number % 2 else None


def _dies(number: int) -> Any:
    if number == 1999:
        os._exit(3)
    return None


def test_work_on_all_processors() -> None:
    items = list(range(4000))
    done: list[int] = []
    found = dict(parallel.each(_odd, items, done.append))
    assert found == {number: number * 2 for number in items if number % 2}
    assert done[-1] == len(items)
    if len(os.sched_getaffinity(0)) > 1:
        with pytest.raises(ChildProcessError):
            list(parallel.each(_dies, items))


def test_others_hold_the_lock(tmp_path: Path) -> None:
    ostree("--repo=repo", "init", "--mode=archive", cwd=tmp_path)
    config = tmp_path / "repo/config"
    config.write_text(config.read_text() + "lock-timeout-secs=0\n")
    repository = Repository(tmp_path / "repo")
    with changing.Exclusive(repository):
        pass
    other = changing.Exclusive(Repository(tmp_path / "repo"))
    with changing.Exclusive(repository), pytest.raises(DolmenError) as caught, other:
        pass
    assert caught.value.reason == "busy"


def test_a_parent_repository(place: Path) -> None:
    ostree("--repo=child", "init", "--mode=bare-user-only", cwd=place)
    mode = Repository(place / "repo").mode
    config = place / "child/config"
    text = config.read_text().replace("bare-user-only", mode)
    config.write_text(f"{text}parent={place}/repo\n")
    child = Repository(place / "child")
    tree = trees.Tree(child, commits.resolve(child, "main"))
    assert b"".join(tree.read(tree.find("/d/f"))) == b"two\n"
    assert len(list(tree.walk(tree.root))) == 9
