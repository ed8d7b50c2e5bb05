"""Hostile containers and control archives are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.support.errors import PackageError
from tests.lib.debs import (
    Member,
    lock_entry,
    make_deb,
    raw_deb,
    tar_bytes,
    tar_member,
)
from tests.unit.store.refusal import (
    BENIGN,
    CONTROL,
    CONTROL_MEMBERS,
    ROOT,
    deb_of,
    refused,
    taken,
    visible,
)

pytestmark = pytest.mark.usefixtures("_benign_twin")


def test_containers(store: Store, debs: Path) -> None:
    version = ("debian-binary", b"2.0\n")
    control = ("control.tar", tar_bytes(CONTROL_MEMBERS))
    data = ("data.tar", tar_bytes(BENIGN))

    def ar(*members: tuple[str, bytes]) -> Path:
        return raw_deb(debs, "evil.deb", data=b"", control=b"", ar=members)

    taken(store, ar(version, control, data))
    taken(store, ar(version, ("_extra", b"odd"), control, data, ("_gpgorigin", b"signature")))
    assert refused(store, ar(control, data)) == "bad-archive"
    assert refused(store, ar(("debian-binary", b"3.0\n"), control, data)) == "bad-archive"
    assert refused(store, ar(version, data, control)) == "bad-archive"
    assert refused(store, ar(version, ("control", control[1]), data)) == "bad-archive"
    assert refused(store, ar(version, control, control, data)) == "bad-archive"
    assert refused(store, ar(version, data)) == "bad-archive"
    assert refused(store, ar(version, control)) == "truncated"
    assert refused(store, ar(version, control, ("data.tar.rar", b"x"))) == "unknown-compression"
    assert refused(store, ar()) == "truncated"

    plain = ar(version, control, data).read_bytes()
    for content in (
        b"",
        b"!<arch>\n",
        b"PK" + plain[2:],
        plain[:8] + b"x" * 60 + plain[68:],
        plain.replace(b"`\n", b"``", 1),
        plain.replace(b"4         `", b"99999999999", 1),
        plain.replace(b"4         `", b"-4        `", 1),
        plain[:70],
    ):
        path = debs / "evil.deb"
        path.write_bytes(content)
        assert refused(store, path) in ("bad-archive", "truncated")


def test_not_what_the_lock_says(store: Store, debs: Path) -> None:
    deb = make_deb(debs, "good", "1.0", files={"usr/bin/good": "x"})
    package = lock_entry(deb)
    for changed, reason in (
        ({"name": "other"}, "not-as-locked"),
        ({"version": "1.1"}, "not-as-locked"),
        ({"architecture": "amd64"}, "not-as-locked"),
        ({"size": package.size + 1}, "hash-mismatch"),
        ({"sha256": Sha256("0" * 64)}, "hash-mismatch"),
    ):
        wrong = dataclasses.replace(package, **changed)
        before = visible(store)
        with pytest.raises(PackageError) as caught:
            store.import_packages([(wrong, deb)])
        assert caught.value.reason == reason
        assert visible(store) == before
    store.import_packages([(package, deb)])
    assert store.has_package(package.sha256)


# control.tar


def with_control(debs: Path, *members: Member) -> Path:
    return deb_of(debs, BENIGN, [ROOT, *members])


def test_control_members(store: Store, debs: Path) -> None:
    control = tar_member("./control", CONTROL)
    taken(store, with_control(debs, control, tar_member("./postinst", b"#!/bin/sh\n")))
    for members in (
        (tar_member("./control", kind="l", target="/etc/shadow"),),
        (tar_member("./control", kind="h", target="/etc/shadow"),),
        (tar_member("./control", kind="p"),),
        (tar_member("./control/", kind="d"),),
        (control, control),
        (control, tar_member("./postinst", kind="l", target="/etc/shadow")),
        (control, tar_member("./x/", kind="d"), tar_member("./x/y", b"")),
        (tar_member("./postinst", b""),),
        (),
    ):
        assert refused(store, with_control(debs, *members)) in ("bad-control", "unsafe-path")
    assert refused(store, with_control(debs, control, tar_member("./../x", b""))) == "unsafe-path"
    huge = tar_member("./templates", bytes(65 << 20))
    deb = deb_of(debs, BENIGN, [ROOT, control, huge], compression="gz")
    assert refused(store, deb) == "too-large"
    many = [tar_member(f"./m{n}", bytes(1 << 20)) for n in range(66)]
    deb = deb_of(debs, BENIGN, [ROOT, control, *many], compression="gz")
    assert refused(store, deb) == "too-large"


def test_mode_of_the_control_directory(store: Store, debs: Path) -> None:
    """CVE-2025-6297: a directory of mode 000 made dpkg-deb leave its temporary files behind."""
    root = tar_member("./", kind="d", mode=0)
    taken(store, deb_of(debs, BENIGN, [root, tar_member("./control", CONTROL, mode=0)]))


@pytest.mark.parametrize(
    "text",
    [
        CONTROL + b"Version: 2\n",
        CONTROL + b"\nPackage: other\n",
        CONTROL + b"no field\n",
        b" folded first\n" + CONTROL,
        CONTROL + b"X: \xff\xfe\n",
        b"",
    ],
)
def test_control_file(store: Store, debs: Path, text: bytes) -> None:
    deb = with_control(debs, tar_member("./control", text))
    assert refused(store, deb) == "bad-control"


@pytest.mark.parametrize("line", [b"etc/x\n", b"remove-never /etc/x\n"])
def test_conffiles(store: Store, debs: Path, line: bytes) -> None:
    control = tar_member("./control", CONTROL)
    taken(store, with_control(debs, control, tar_member("./conffiles", b"/etc/x\n")))
    deb = with_control(debs, control, tar_member("./conffiles", line))
    assert refused(store, deb) == "bad-control"
