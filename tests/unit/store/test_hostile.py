"""Hostile names, links and kinds of members are refused; nothing of them becomes visible."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.store import Store
from dolmen.support.errors import PackageError
from tests.lib.debs import (
    Member,
    lock_entry,
    make_deb,
    tar_member,
)
from tests.unit.store.refusal import (
    BENIGN,
    ROOT,
    USR,
    deb_of,
    entry,
    refused,
    taken,
    visible,
)

pytestmark = pytest.mark.usefixtures("_benign_twin")


LONG = "a" * 256
NAMES = {
    "parent": "../evil",
    "parent after dot": "./../evil",
    "parent inside": "./usr/../../evil",
    "absolute": "/evil",
    "double slash": "./usr//evil",
    "dot inside": "./usr/./evil",
    "file with a slash at its end": "./usr/evil/",
    "file as root": ".",
    "file as root with slash": "./",
    "newline": "./usr/ev\nil",
    "component too long": f"./usr/{LONG}",
    "path too long": "./" + "/".join(["a" * 200] * 21),
    "too deep": "./" + "/".join(["d"] * 300),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names(store: Store, debs: Path, name: str) -> None:
    assert refused(store, deb_of(debs, [ROOT, USR, tar_member(name, b"x")])) == "unsafe-path"


def test_empty_name(store: Store, debs: Path) -> None:
    assert refused(store, deb_of(debs, [ROOT, tar_member("", b"x")])) == "unsafe-path"


def test_name_that_is_not_utf8(store: Store, debs: Path) -> None:
    data = [ROOT, tar_member("./ev\udcffil", b"x")]
    assert refused(store, deb_of(debs, data)) == "unsafe-path"


@pytest.mark.parametrize("name", ["-rf", "$(id)", "a b", "\x1b[31m", "\u202eevil", "b" * 255, "ü"])
def test_odd_names_are_only_names(store: Store, debs: Path, name: str) -> None:
    deb = deb_of(debs, [ROOT, USR, tar_member(f"./usr/{name}", b"x")])
    taken(store, deb)
    tree = store.package(entry(deb).sha256)
    assert tree.paths[-1].path == f"/usr/{name}"


LINKS: dict[str, list[Member]] = {
    "file below a link": [
        tar_member("./usr/l", kind="l", target="/outside"),
        tar_member("./usr/l/f", b"x"),
    ],
    "file below a file": [tar_member("./usr/f", b"x"), tar_member("./usr/f/g", b"x")],
    "directory below a link": [
        tar_member("./usr/l", kind="l", target="/outside"),
        tar_member("./usr/l/d/", kind="d"),
    ],
    "link, then a file of its name": [
        tar_member("./usr/l", kind="l", target="/outside"),
        tar_member("./usr/l", b"x"),
    ],
    "file, then a link of its name": [
        tar_member("./usr/l", b"x"),
        tar_member("./usr/l", kind="l", target="/outside"),
    ],
    "file twice": [tar_member("./usr/f", b"x"), tar_member("./usr/f", b"y")],
    "link, then a directory of its name": [
        tar_member("./usr/l", kind="l", target="/outside"),
        tar_member("./usr/l/", kind="d"),
    ],
    "directory, then a link of its name": [
        tar_member("./usr/d/", kind="d"),
        tar_member("./usr/d", kind="l", target="/outside"),
    ],
    "hard link to outside": [tar_member("./usr/h", kind="h", target="../../etc/shadow")],
    "hard link to an absolute path": [tar_member("./usr/h", kind="h", target="/etc/shadow")],
    "hard link before its target": [
        tar_member("./usr/h", kind="h", target="./usr/f"),
        tar_member("./usr/f", b"x"),
    ],
    "hard link to a symbolic link": [
        tar_member("./usr/l", kind="l", target="/etc/shadow"),
        tar_member("./usr/h", kind="h", target="./usr/l"),
    ],
    "hard link to a directory": [tar_member("./usr/h", kind="h", target="./usr")],
    "hard link to itself": [tar_member("./usr/h", kind="h", target="./usr/h")],
    "etc as a link": [tar_member("./etc", kind="l", target="/outside")],
    "usr as a link": [tar_member("./var", kind="l", target="usr")],
    "aliased directory led elsewhere": [tar_member("./lib", kind="l", target="/outside")],
    "one name in both spellings": [
        tar_member("./bin/", kind="d"),
        tar_member("./bin/x", b"1"),
        tar_member("./usr/bin/", kind="d"),
        tar_member("./usr/bin/x", b"2"),
    ],
    "below a device": [
        tar_member("./usr/c", kind="c"),
        tar_member("./usr/c/f", b"x"),
    ],
}


@pytest.mark.parametrize("members", LINKS.values(), ids=LINKS.keys())
def test_links(store: Store, debs: Path, members: list[Member]) -> None:
    assert refused(store, deb_of(debs, [ROOT, USR, *members])) == "unsafe-path"


@pytest.mark.parametrize("name", ["./", "/.", "."])
def test_root_as_a_link(store: Store, debs: Path, name: str) -> None:
    data = [tar_member(name, kind="l", target="/"), USR]
    assert refused(store, deb_of(debs, data)) == "unsafe-path"


def test_empty_link_target(store: Store, debs: Path) -> None:
    assert refused(store, deb_of(debs, [ROOT, tar_member("./l", kind="l")])) == "unsafe-path"


def test_loops_are_only_links(store: Store, debs: Path) -> None:
    taken(
        store,
        deb_of(
            debs,
            [
                ROOT,
                tar_member("./a", kind="l", target="b"),
                tar_member("./b", kind="l", target="a"),
                tar_member("./c", kind="l", target="../../../../../etc/shadow"),
            ],
        ),
    )


@pytest.mark.parametrize("kind", ["c", "b", "p"])
def test_devices_and_fifos_are_skipped_and_listed(store: Store, debs: Path, kind: str) -> None:
    deb = deb_of(debs, [*BENIGN, tar_member("./usr/special", kind=kind)])
    taken(store, deb)
    tree = store.package(entry(deb).sha256)
    assert tree.skipped == ("/usr/special",)
    assert "/usr/special" not in [p.path for p in tree.paths]


def test_setuid_is_noted_and_not_kept(store: Store, debs: Path) -> None:
    deb = deb_of(debs, [*BENIGN, tar_member("./usr/su", b"x", mode=0o6755)])
    taken(store, deb)
    found = store.package(entry(deb).sha256).paths[-1]
    assert found.mode == 0o6755
    object_path = store.path / "repo/objects" / found.digest[:2] / f"{found.digest[2:]}.file"
    assert object_path.stat().st_mode & 0o7777 == 0o755


def test_attributes(store: Store, debs: Path) -> None:
    attributes = {
        "SCHILY.xattr.security.capability": "cap",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.whiteout": "y",
        "SCHILY.xattr.security.selinux": "label",
    }
    deb = deb_of(debs, [*BENIGN, tar_member("./usr/x", b"x", pax=attributes)])
    taken(store, deb)
    found = store.package(entry(deb).sha256).paths[-1]
    assert found.xattrs == (("security.capability", b"cap".hex()),)
    object_path = store.path / "repo/objects" / found.digest[:2] / f"{found.digest[2:]}.file"
    assert set(os.listxattr(object_path)) <= {"user.ostreemeta", "security.selinux"}
    big = {"SCHILY.xattr.security.capability": "x" * 70_000}
    assert refused(store, deb_of(debs, [ROOT, tar_member("./x", b"", pax=big)])) == "bad-tar"


def test_many_entries(store: Store, debs: Path) -> None:
    members = [tar_member(f"./usr/{n:05}", b"") for n in range(5_000)]
    deb = deb_of(debs, [ROOT, USR, *members])
    taken(store, deb)
    assert len(store.package(entry(deb).sha256).paths) == 5_002


def test_times_do_not_matter(store: Store, debs: Path) -> None:
    member, content = tar_member("./usr/x", b"x")
    found = []
    for time in (0, 1 << 40):
        member.mtime = time
        deb = deb_of(debs, [ROOT, USR, (member, content)])
        taken(store, deb)
        found.append(store.package(entry(deb).sha256).paths[-1].digest)
    assert found[0] == found[1]


def test_good_neighbours_do_not_save_a_bad_one(store: Store, debs: Path) -> None:
    good = [make_deb(debs, f"good{n}", files={"usr/x": f"{n}"}) for n in range(5)]
    bad = deb_of(debs, [ROOT, tar_member("../evil", b"x")])
    before = visible(store)
    with pytest.raises(PackageError) as caught:
        store.import_packages([*((lock_entry(deb), deb) for deb in good), (entry(bad), bad)])
    assert caught.value.reason == "unsafe-path"
    assert visible(store) == before
    store.import_packages((lock_entry(deb), deb) for deb in good)
    assert all(store.has_package(lock_entry(deb).sha256) for deb in good)
