"""Trees made of package trees, commits and files."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

from dolmen.model import Sha256
from dolmen.store import Image, Store
from dolmen.support.errors import PackageError, StoreError
from tests.lib.debs import Dir, Entry, File, Link, lock_entry, make_deb


def imported(store: Store, debs: Path, name: str, files: dict[str, Entry]) -> Sha256:
    deb = make_deb(debs, name, files=files)
    package = lock_entry(deb)
    store.import_packages([(package, deb)])
    return package.sha256


def listing(store: Store, image: Image) -> dict[str, str]:
    """Path -> what is there, in short."""
    found = {}
    for entry in store.walk(image.commit):
        if entry.kind == "d":
            found[entry.path] = f"d {entry.mode:o}"
        elif entry.kind == "l":
            found[entry.path] = f"-> {entry.target}"
        else:
            found[entry.path] = store.read_object(entry.checksum).decode()
    return found


def test_merge(store: Store, debs: Path) -> None:
    one = imported(
        store, debs, "one", {"bin/one": "1", "usr/share/doc/one/c": "one", "tmp": Dir(0o1777)}
    )
    two = imported(store, debs, "two", {"usr/bin/two": "2", "usr/share/doc/two/c": "two"})
    images = set()
    for order in itertools.permutations([one, two]):
        with store.tree_builder() as builder:
            builder.add_symlink("bin", "usr/bin")
            for package in order:
                builder.merge_package(package)
            images.add(builder.commit("test"))
    (image,) = images
    assert listing(store, image) == {
        "/": "d 755",
        "/bin": "-> usr/bin",
        "/tmp": "d 1777",
        "/usr": "d 755",
        "/usr/bin": "d 755",
        "/usr/bin/one": "1",
        "/usr/bin/two": "2",
        "/usr/share": "d 755",
        "/usr/share/doc": "d 755",
        "/usr/share/doc/one": "d 755",
        "/usr/share/doc/one/c": "one",
        "/usr/share/doc/two": "d 755",
        "/usr/share/doc/two/c": "two",
    }
    assert store.resolve("test") == image.commit


def test_the_first_directory_keeps_its_mode(store: Store, debs: Path) -> None:
    one = imported(store, debs, "one", {"var/x": Dir(0o700), "var/x/1": "1"})
    two = imported(store, debs, "two", {"var/x": Dir(0o777), "var/x/2": "2"})
    with store.tree_builder() as builder:
        builder.merge_package(one)
        builder.merge_package(two)
        image = builder.commit()
    assert listing(store, image)["/var/x"] == "d 700"


def test_skip_and_rename(store: Store, debs: Path) -> None:
    one = imported(store, debs, "one", {"bin/a": "a1", "usr/bin/b": "b1", "usr/bin/c": "c1"})
    two = imported(store, debs, "two", {"usr/bin/a": "a2", "usr/bin/b": "b2"})
    with store.tree_builder() as builder:
        builder.merge_package(
            one, skip=["/usr/bin/a"], renames={"usr/bin/b": "usr/bin/b.distrib", "usr/no": "x"}
        )
        builder.merge_package(two)
        image = builder.commit()
    found = listing(store, image)
    assert {k: v for k, v in found.items() if k.startswith("/usr/bin/")} == {
        "/usr/bin/a": "a2",
        "/usr/bin/b": "b2",
        "/usr/bin/b.distrib": "b1",
        "/usr/bin/c": "c1",
    }


def test_conflicts(store: Store, debs: Path) -> None:
    one = imported(store, debs, "one", {"usr/bin/a": "1", "usr/bin/same": "s"})
    same = imported(store, debs, "same", {"usr/bin/same": "s"})
    other = imported(store, debs, "other", {"usr/bin/a": "2"})
    mode = imported(store, debs, "mode", {"usr/bin/a": File("1", 0o700)})
    directory = imported(store, debs, "directory", {"usr/bin/a/b": "x"})
    file = imported(store, debs, "file", {"usr/bin": File("x")})
    with store.tree_builder() as builder:
        builder.merge_package(one)
        builder.merge_package(same)
        for package, path in (
            (other, "/usr/bin/a"),
            (mode, "/usr/bin/a"),
            (directory, "/usr/bin/a"),
            (file, "/usr/bin"),
        ):
            with pytest.raises(PackageError) as caught:
                builder.merge_package(package)
            assert caught.value.reason == "file-conflict"
            assert caught.value.details == (path,)


def test_links_and_directories(store: Store, debs: Path) -> None:
    """dpkg keeps a directory where a link comes, and goes through a link where one is."""
    real = imported(
        store,
        debs,
        "real",
        {
            "usr/share/doc/real/c": "real",
            "usr/share/doc/other": Link("real"),
            "usr/share/far": Link("/usr/./share/../../usr/share/doc/other"),
            "usr/share/dead": Link("nowhere"),
        },
    )
    through = imported(
        store, debs, "through", {"usr/share/doc/other/d": "d", "usr/share/far/e": "e"}
    )
    link = imported(store, debs, "link", {"usr/share/doc/real": Link("../elsewhere")})
    dead = imported(store, debs, "dead", {"usr/share/dead/x": "x"})
    with store.tree_builder() as builder:
        for package in (real, through, link):
            builder.merge_package(package)
        with pytest.raises(PackageError) as caught:
            builder.merge_package(dead)
        assert caught.value.details == ("/usr/share/dead",)
        image = builder.commit()
    found = listing(store, image)
    assert found["/usr/share/doc/other"] == "-> real"
    assert [found[f"/usr/share/doc/real/{n}"] for n in "cde"] == ["real", "d", "e"]


def test_through_a_link_whose_way_has_links(store: Store, debs: Path) -> None:
    lib = imported(store, debs, "lib", {"lib/d/f": "f", "usr/l": Link("/lib/d")})
    more = imported(store, debs, "more", {"usr/l/g": "g"})
    with store.tree_builder() as builder:
        builder.add_symlink("lib", "usr/lib")
        builder.merge_package(lib)
        builder.merge_package(more)
        image = builder.commit()
    assert listing(store, image)["/usr/lib/d/g"] == "g"


def test_single_entries(store: Store) -> None:
    with store.tree_builder() as builder:
        checksum = builder.add_file("/etc/a", b"a", mode=0o4600)
        builder.link("etc/b", checksum)
        builder.add_directory("var/lib/x", 0o2700)
        builder.add_symlink("etc/l", "a")
        assert builder.find("/etc/b") == checksum
        assert builder.find("etc") is builder.find("no/where") is None
        assert builder.link_target(builder.find("etc/l") or "") == "a"
        assert builder.has_directory("/var/lib")
        assert not builder.has_directory("etc/a")
        assert builder.remove("/var/lib")
        assert not builder.remove("/var/lib/x")
        builder.add_file("etc/l", b"now a file")
        for make in (
            lambda: builder.add_file("etc/a/b", b""),
            lambda: builder.add_directory("etc/a/b"),
        ):
            with pytest.raises(StoreError) as caught:
                make()
            assert caught.value.reason == "not-a-directory"
        image = builder.commit()
    assert listing(store, image) == {
        "/": "d 755",
        "/etc": "d 755",
        "/etc/a": "a",
        "/etc/b": "a",
        "/etc/l": "now a file",
        "/var": "d 755",
    }
    modes = {entry.path: entry.mode for entry in store.walk(image.commit)}
    assert modes["/etc/a"] == 0o600


def test_leaving_without_commit(store: Store) -> None:
    before = sorted((store.path / "repo").rglob("*"))
    with pytest.raises(ZeroDivisionError), store.tree_builder() as builder:
        builder.add_file("a", bytes(1 // 0))
    with store.tree_builder() as builder:
        builder.add_file("a", b"a")
    assert sorted((store.path / "repo").rglob("*")) == before
    assert list(store.tmp.iterdir()) == []
    with store.tree_builder() as builder:
        builder.commit()
        with pytest.raises(StoreError):
            builder.commit()


def test_merge_commit(store: Store) -> None:
    with store.tree_builder() as builder:
        builder.add_directory("/", 0o700)
        builder.add_file("etc/a", b"a")
        base = builder.commit()
    with store.tree_builder() as builder:
        builder.merge_commit(base.commit)
        assert builder.commit() == base
    with store.tree_builder() as builder:
        builder.merge_commit(base.commit)
        builder.add_file("etc/b", b"b")
        image = builder.commit()
    assert image.root != base.root
    with store.tree_builder() as builder:
        builder.merge_commit(image.commit)
        builder.remove("etc/b")
        assert builder.commit() == base


def test_checkout_of_a_tree_in_the_making(store: Store, debs: Path, tmp_path: Path) -> None:
    """It needs no commit, and building goes on after it."""
    package = imported(store, debs, "one", {"usr/bin/one": "1", "usr/l": Link("bin")})
    with store.scratch() as work, store.tree_builder() as builder:
        builder.merge_package(package)
        builder.add_file("etc/new", b"new")
        builder.checkout(work / "lower")
        assert (work / "lower/usr/bin/one").read_text() == "1"
        assert (work / "lower/etc/new").read_text() == "new"
        assert os.readlink(work / "lower/usr/l") == "bin"
        builder.checkout(work / "part", without=("etc", "usr/l", "never"))
        assert sorted(os.listdir(work / "part")) == ["usr"]
        assert os.listdir(work / "part/usr") == ["bin"]
        builder.add_file("usr/bin/two", b"2")
        image = builder.commit()
        assert (work / "lower/etc/new").stat().st_nlink == 2
    assert listing(store, image)["/etc/new"] == "new"
    assert listing(store, image)["/usr/bin/two"] == "2"


# Overlay upper directories


def whiteout(path: Path) -> None:
    # Any user may make this one device (Linux 5.8).
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))


@pytest.fixture
def upper(store: Store) -> Path:
    path = store.tmp / "upper"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def base(store: Store) -> Image:
    with store.tree_builder() as builder:
        for path in ("etc/a", "etc/b", "etc/d/x", "etc/d/y", "opt/old/1", "usr/keep"):
            builder.add_file(path, path.encode())
        return builder.commit()


def over(store: Store, base: Image, upper: Path, drop: tuple[str, ...] = ()) -> dict[str, str]:
    with store.tree_builder() as builder:
        builder.merge_commit(base.commit)
        builder.apply_upper(upper, drop=lambda path: path in drop)
        return listing(store, builder.commit())


def test_upper_that_changes_nothing(store: Store, base: Image, upper: Path) -> None:
    assert over(store, base, upper) == listing(store, base)
    (upper / "etc").mkdir(mode=0o755)
    (upper / "etc/a").write_text("etc/a")
    (upper / "etc/a").chmod(0o644)
    assert over(store, base, upper) == listing(store, base)


def test_upper(store: Store, base: Image, upper: Path) -> None:
    os.umask(0o022)
    (upper / "etc").mkdir()
    (upper / "etc/a").write_text("changed")
    whiteout(upper / "etc/b")
    whiteout(upper / "etc/never-was")
    (upper / "etc/new").mkdir(mode=0o700)
    (upper / "etc/new/big").write_bytes(b"x" * 1_000_000)
    os.link(upper / "etc/new/big", upper / "etc/new/hard")
    os.symlink("/etc/a", upper / "etc/l")
    os.mkfifo(upper / "etc/fifo")
    (upper / "etc/d").mkdir()
    os.setxattr(upper / "etc/d", "user.overlay.opaque", b"y")
    (upper / "etc/d/z").write_text("z")
    whiteout(upper / "opt")
    (upper / "su").write_text("su")
    (upper / "su").chmod(0o4755)
    os.setxattr(upper / "su", "user.private", b"1")
    found = over(store, base, upper)
    assert found == {
        "/": "d 755",
        "/etc": "d 755",
        "/etc/a": "changed",
        "/etc/d": "d 755",
        "/etc/d/z": "z",
        "/etc/l": "-> /etc/a",
        "/etc/new": "d 700",
        "/etc/new/big": "x" * 1_000_000,
        "/etc/new/hard": "x" * 1_000_000,
        "/su": "su",
        "/usr": "d 755",
        "/usr/keep": "usr/keep",
    }


def test_upper_with_a_whiteout_by_attribute(store: Store, base: Image, upper: Path) -> None:
    (upper / "etc").mkdir()
    (upper / "etc/a").touch()
    os.setxattr(upper / "etc/a", "user.overlay.whiteout", b"")
    (upper / "etc/b").touch()
    found = over(store, base, upper)
    assert "/etc/a" not in found
    assert found["/etc/b"] == ""


def test_upper_kinds_change(store: Store, base: Image, upper: Path) -> None:
    (upper / "etc").write_text("a file now")
    (upper / "usr").mkdir()
    (upper / "usr/keep").mkdir()
    os.setxattr(upper / "usr/keep", "user.overlay.opaque", b"y")
    (upper / "usr/keep/x").write_text("x")
    os.symlink("usr", upper / "opt")
    found = over(store, base, upper)
    assert found["/etc"] == "a file now"
    assert found["/usr/keep/x"] == "x"
    assert found["/opt"] == "-> usr"
    assert "/opt/old/1" not in found


def test_upper_drop(store: Store, base: Image, upper: Path) -> None:
    for path in ("etc/d", "var/cache/x", "var/log"):
        (upper / path).mkdir(parents=True)
    for path in ("etc/a", "etc/d/x", "var/cache/x/y", "var/log/z"):
        (upper / path).write_text("new")
    found = over(store, base, upper, ("/etc/a", "/var/cache", "/var/log/z"))
    assert "/etc/a" not in found
    assert found["/etc/d/x"] == "new"
    assert "/var/cache" not in found
    assert found["/var/log"].startswith("d ")
    assert "/var/log/z" not in found


def test_upper_unreadable(store: Store, base: Image, upper: Path) -> None:
    (upper / "secret").write_text("s")
    (upper / "secret").chmod(0)
    (upper / "closed").mkdir()
    (upper / "closed/x").write_text("x")
    (upper / "closed").chmod(0)
    found = over(store, base, upper)
    assert found["/secret"] == "s"
    assert found["/closed"] == "d 0"
    assert found["/closed/x"] == "x"


@pytest.mark.parametrize("name", ["redirect", "metacopy"])
def test_upper_that_kept_data_elsewhere(store: Store, base: Image, upper: Path, name: str) -> None:
    path = upper / "x"
    if name == "redirect":
        path.mkdir()
    else:
        path.touch()
    over(store, base, upper)
    os.setxattr(path, f"user.overlay.{name}", b"y")
    with pytest.raises(StoreError) as caught:
        over(store, base, upper)
    assert caught.value.reason == "overlay-format"


def test_upper_names(store: Store, base: Image, upper: Path) -> None:
    (upper / "new\nline").write_text("1")
    over(store, base, upper)
    (upper / "\udcff").write_text("2")
    with pytest.raises(PackageError) as caught:
        over(store, base, upper)
    assert caught.value.reason == "unsafe-path"
    (upper / "\udcff").unlink()
    os.symlink("\udcff", upper / "l")
    with pytest.raises(PackageError) as caught:
        over(store, base, upper)
    assert caught.value.reason == "unsafe-path"


def test_upper_deep(store: Store, base: Image, upper: Path) -> None:
    deep = upper
    for _ in range(199):
        deep = deep / "d"
        deep.mkdir()
    over(store, base, upper)
    for _ in range(5):
        deep = deep / "d"
        deep.mkdir()
    with pytest.raises(PackageError) as caught:
        over(store, base, upper)
    assert caught.value.reason == "unsafe-path"
