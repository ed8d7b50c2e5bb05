"""What an imported .deb becomes: files, control members, list, index."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.model import LockedPackage
from dolmen.store import PathEntry, Store
from dolmen.store.package import usrmerged
from dolmen.support.errors import ArchiveError, StoreError
from dolmen.support.events import Event, PhaseFinished, PhaseProgress
from tests.lib.debs import (
    Dir,
    Entry,
    File,
    HardLink,
    Link,
    lock_entry,
    make_deb,
    raw_deb,
    tar_member,
)
from tests.unit.store.conftest import Importer


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_index(store: Store, debs: Path, bring: Importer) -> None:
    deb = make_deb(
        debs,
        "thing",
        "2:1.0-1",
        "amd64",
        files={
            "bin/thing": "#!/bin/sh\n",
            "bin/same": HardLink("bin/thing"),
            "lib/x86_64-linux-gnu/libthing.so": Link("libthing.so.1"),
            "etc/thing.conf": "a = 1\n",
            "etc/empty": "",
            "var/mail": Dir(0o2775, gname="mail"),
            "usr/bin/sudo": File(b"x", 0o4755, gname="wheel"),
            "usr/share/big": b"0123456789abcdef" * 40_000,
        },
        scripts={"postinst": "#!/bin/sh\nexit 0\n"},
        conffiles=["/etc/thing.conf", "/etc/empty"],
        triggers="interest-noawait /usr/share/thing\n",
        fields={"Depends": "libc6", "Description": "thing\nmore\n\nthe end"},
    )
    tree = bring(deb)
    assert tree.control == (
        "Package: thing\nVersion: 2:1.0-1\nArchitecture: amd64\n"
        "Maintainer: Nobody <nobody@example.org>\nInstalled-Size: 634\nSection: misc\n"
        "Priority: optional\nDescription: thing\n more\n .\n the end\nDepends: libc6\n"
    )
    assert set(tree.members) == {"conffiles", "md5sums", "postinst", "triggers"}
    assert store.read_object(tree.members["postinst"]) == b"#!/bin/sh\nexit 0\n"
    assert tree.conffiles == {"/etc/thing.conf": md5("a = 1\n"), "/etc/empty": md5("")}
    assert store.read_object(tree.list_object).decode().splitlines() == [
        "/.",
        "/bin",
        "/bin/thing",
        "/bin/same",
        "/lib",
        "/lib/x86_64-linux-gnu",
        "/lib/x86_64-linux-gnu/libthing.so",
        "/etc",
        "/etc/thing.conf",
        "/etc/empty",
        "/var",
        "/var/mail",
        "/usr",
        "/usr/bin",
        "/usr/bin/sudo",
        "/usr/share",
        "/usr/share/big",
    ]
    paths = {entry.path: entry for entry in tree.paths}
    assert [entry.path for entry in tree.paths] == store.read_object(
        tree.list_object
    ).decode().splitlines()
    assert paths["/."] == PathEntry("/.", "d", mode=0o755)
    same = paths["/bin/same"]
    assert (same.kind, same.target, same.digest, same.size) == (
        *("h", "/bin/thing", paths["/bin/thing"].digest, 10),
    )
    assert (paths["/var/mail"].mode, paths["/var/mail"].gname) == (0o2775, "mail")
    assert (paths["/usr/bin/sudo"].mode, paths["/usr/bin/sudo"].gname) == (0o4755, "wheel")
    link = paths["/lib/x86_64-linux-gnu/libthing.so"]
    assert (link.kind, link.target) == ("l", "libthing.so.1")
    assert store.link_target(link.digest) == "libthing.so.1"
    assert store.read_object(paths["/usr/share/big"].digest) == b"0123456789abcdef" * 40_000
    assert paths["/bin/thing"].merged == "usr/bin/thing"
    assert paths["/."].merged == ""
    assert paths["/etc"].merged == "etc"

    commit = store.resolve(f"deb/{tree.sha256}")
    assert commit is not None
    walked = {entry.path: entry for entry in store.walk(commit)}
    assert walked["/data/usr/bin/thing"].mode == 0o755
    assert walked["/data/usr/bin/sudo"].mode == 0o755
    assert walked["/data/var/mail"].mode == 0o775
    assert walked["/data/usr/lib/x86_64-linux-gnu/libthing.so"].target == "libthing.so.1"
    assert "/data/bin" not in walked
    assert "/control/control" in walked
    assert walked["/control/postinst"].mode == 0o755
    assert "/index.json" in walked


def test_md5sums_are_made_when_there_are_none(store: Store, debs: Path, bring: Importer) -> None:
    tree = bring(
        make_deb(
            debs,
            "thing",
            files={
                "usr/share/b": "b\n",
                "usr/share/a": "a\n",
                "usr/share/hard": HardLink("usr/share/b"),
                "usr/share/l": Link("a"),
                "etc/c": "c\n",
            },
            conffiles=["/etc/c"],
            md5sums=False,
        )
    )
    assert store.read_object(tree.members["md5sums"]).decode() == (
        f"{md5(chr(98) + chr(10))}  usr/share/b\n"
        f"{md5(chr(97) + chr(10))}  usr/share/a\n"
        f"{md5(chr(98) + chr(10))}  usr/share/hard\n"
    )
    assert tree.conffiles == {"/etc/c": md5("c\n")}


def test_conffile_that_is_a_link(debs: Path, bring: Importer) -> None:
    tree = bring(
        make_deb(
            debs,
            "thing",
            files={"etc/d/real": "r\n", "etc/l": Link("d/real"), "etc/gone": Link("/nowhere")},
            conffiles=["/etc/l", "/etc/gone", "/etc/missing", "remove-on-upgrade /etc/old"],
        )
    )
    assert tree.conffiles == {"/etc/l": md5("r\n")}


def test_parents_that_are_not_shipped(store: Store, debs: Path, bring: Importer) -> None:
    deb = raw_deb(
        debs,
        "thing.deb",
        data=[tar_member("opt/vendor/thing", b"x", mode=0o755)],
        control=[tar_member("control", b"Package: thing\nVersion: 1\nArchitecture: all\n")],
        compression="gz",
    )
    tree = bring(deb)
    assert store.read_object(tree.list_object) == b"/.\n/opt/vendor/thing\n"
    commit = store.resolve(f"deb/{tree.sha256}")
    assert commit is not None
    assert "/data/opt/vendor/thing" in {entry.path for entry in store.walk(commit)}


def test_aliased_links_of_base_files(store: Store, debs: Path, bring: Importer) -> None:
    """Since trixie base-files ships them; they are not what is to be rewritten."""
    tree = bring(
        make_deb(
            debs,
            "base-files",
            files={"bin": Link("usr/bin"), "lib": Link("usr/lib"), "usr/bin": Dir()},
        )
    )
    commit = store.resolve(f"deb/{tree.sha256}")
    assert commit is not None
    walked = {entry.path: entry.target for entry in store.walk(commit)}
    assert walked["/data/bin"] == "usr/bin"
    assert "/data/usr/lib" not in walked
    assert [e.merged for e in tree.paths if e.kind == "l"] == ["bin", "lib"]


@pytest.mark.parametrize(
    ("path", "merged"),
    [
        ("bin/x", "usr/bin/x"),
        ("bin", "usr/bin"),
        ("lib64/ld.so", "usr/lib64/ld.so"),
        ("binary/x", "binary/x"),
        ("usr/bin/x", "usr/bin/x"),
        ("libexec", "libexec"),
        ("", ""),
    ],
)
def test_usrmerge(path: str, merged: str) -> None:
    assert usrmerged(path) == merged


@pytest.mark.parametrize("compression", ["none", "gz", "xz", "zst"])
def test_compressions_agree(store: Store, debs: Path, bring: Importer, compression: str) -> None:
    files: dict[str, Entry] = {"usr/share/x": os.urandom(300_000), "usr/share/y": "y" * 3_000_000}
    tree = bring(make_deb(debs, "thing", files=files, compression=compression))
    by_path = {entry.path: entry.digest for entry in tree.paths}
    for path, content in files.items():
        assert store.read_object(by_path[f"/{path}"]) == (
            content.encode() if isinstance(content, str) else content
        )


def test_long_names(debs: Path, bring: Importer) -> None:
    name = "usr/share/" + "/".join(["n" * 90] * 5)
    tree = bring(
        make_deb(debs, "gnu", files={name: "x", "usr/l": Link("t" * 300), "usr/h": HardLink(name)})
    )
    assert tree.paths[-3].path == f"/{name}"
    assert [tree.paths[-2].target, tree.paths[-1].target] == ["t" * 300, f"/{name}"]
    tree = bring(
        make_deb(
            debs,
            "pax",
            files={name: File("x", xattrs={"user.x": "1"}), "usr/l": Link("ü" * 200)},
        )
    )
    assert tree.paths[-2].path == f"/{name}"
    assert tree.paths[-1].target == "ü" * 200


def test_import_twice_costs_nothing(store: Store, debs: Path) -> None:
    deb = make_deb(debs, "thing", files={"usr/x": "x"})
    package = lock_entry(deb)
    events: list[Event] = []
    store.import_packages([(package, deb), (package, deb)], emit=events.append)
    store.import_packages([(package, deb)], emit=events.append)
    finished = [e for e in events if isinstance(e, PhaseFinished)]
    assert [(e.count, e.cached) for e in finished] == [(2, 1), (1, 1)]
    assert [e.item for e in events if isinstance(e, PhaseProgress)] == ["thing"]
    deb.unlink()
    store.import_packages([(package, deb)])


def test_what_was_fetched_before_a_failure_is_kept(store: Store, debs: Path) -> None:
    good = [make_deb(debs, f"good{n}", files={"usr/x": f"{n}"}) for n in range(3)]

    def fetched() -> Iterator[tuple[LockedPackage, Path]]:
        for deb in good:
            yield lock_entry(deb), deb
        raise ArchiveError("the mirror is gone", reason="mirror-gone")

    with pytest.raises(ArchiveError) as caught:
        store.import_packages(fetched())
    assert caught.value.reason == "mirror-gone"
    assert all(store.has_package(lock_entry(deb).sha256) for deb in good)


def test_not_imported(store: Store, debs: Path) -> None:
    package = lock_entry(make_deb(debs, "thing"))
    assert not store.has_package(package.sha256)
    with pytest.raises(StoreError) as caught:
        store.package(package.sha256)
    assert caught.value.reason == "not-imported"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xff", b"0" * 63, b"0" * 64])
def test_a_ref_that_a_power_cut_left(
    store: Store, debs: Path, bring: Importer, content: bytes
) -> None:
    deb = make_deb(debs, "thing", files={"usr/x": "x"})
    tree = bring(deb)
    (store.path / "repo/refs/heads/deb" / tree.sha256).write_bytes(content)
    assert not store.has_package(tree.sha256)
    assert bring(deb) == tree
