"""Hostile archives are refused, each after its benign twin was taken; nothing becomes visible."""

from __future__ import annotations

import dataclasses
import hashlib
import lzma
import os
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from dolmen.model import LockedPackage, Sha256
from dolmen.store import Store
from dolmen.support.errors import PackageError
from tests.lib.debs import (
    Member,
    ar_bytes,
    compress,
    lock_entry,
    make_deb,
    raw_deb,
    tar_bytes,
    tar_member,
)

CONTROL = (
    b"Package: evil\nVersion: 1.0\nArchitecture: all\nMaintainer: N <n@example.org>\n"
    b"Installed-Size: 10\nDescription: x\n"
)
ROOT = tar_member("./", kind="d")
USR = tar_member("./usr/", kind="d")
BENIGN = [ROOT, USR, tar_member("./usr/file", b"content")]
CONTROL_MEMBERS = [ROOT, tar_member("./control", CONTROL)]


def entry(deb: Path) -> LockedPackage:
    content = deb.read_bytes()
    return LockedPackage(
        name="evil",
        version="1.0",
        architecture="all",
        sha256=Sha256(hashlib.sha256(content).hexdigest()),
        size=len(content),
        filename="pool/main/e/evil/evil_1.0_all.deb",
        release=0,
    )


def visible(store: Store) -> list[str]:
    """Every name in the repository and what is left in quarantine."""
    found = [str(p) for p in (store.path / "repo/objects").rglob("*") if p.is_file()]
    found += [str(p) for p in (store.path / "repo/refs").rglob("*") if p.is_file()]
    return found + [str(p) for p in store.tmp.iterdir()]


def refused(store: Store, deb: Path) -> str:
    """Import and return the reason of the refusal; asserts that nothing remains."""
    package = entry(deb)
    before = visible(store)
    with pytest.raises(PackageError) as caught:
        store.import_packages([(package, deb)])
    assert not store.has_package(package.sha256)
    assert visible(store) == before
    assert caught.value.exit_code == 6
    return caught.value.reason


def taken(store: Store, deb: Path) -> None:
    package = entry(deb)
    store.import_packages([(package, deb)])
    assert store.has_package(package.sha256)


def deb_of(
    directory: Path,
    data: Sequence[Member] | bytes,
    control: Sequence[Member] | bytes = CONTROL_MEMBERS,
    *,
    compression: str = "none",
) -> Path:
    return raw_deb(
        directory, "evil_1.0_all.deb", data=data, control=control, compression=compression
    )


@pytest.fixture(autouse=True)
def _benign_twin(store: Store, debs: Path) -> None:
    """The same factory, the same door, nothing wrong: it must work before a refusal counts."""
    taken(store, deb_of(debs, BENIGN))


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


# Bombs and cut streams


@pytest.mark.parametrize("compression", ["gz", "xz"])
def test_bomb(store: Store, debs: Path, compression: str) -> None:
    small = [ROOT, tar_member("./zeros", bytes(1 << 20))]
    taken(store, deb_of(debs, small, compression=compression))
    block = bytes(40 << 20)
    bomb = deb_of(debs, [ROOT, tar_member("./zeros", block)], compression=compression)
    assert bomb.stat().st_size < 1 << 20
    assert refused(store, bomb) == "too-large"


def test_bomb_of_padding(store: Store, debs: Path) -> None:
    data = tar_bytes(BENIGN) + bytes(40 << 20)
    assert refused(store, deb_of(debs, data, compression="gz")) == "too-large"


def test_size_beyond_everything(store: Store, debs: Path) -> None:
    header = tar_member("./huge")[0]
    header.size = 1 << 62
    data = header.tobuf(tarfile.GNU_FORMAT)
    assert refused(store, deb_of(debs, data)) == "too-large"


def test_sparse_member(store: Store, debs: Path) -> None:
    header, _ = tar_member("./sparse")
    header.type = tarfile.GNUTYPE_SPARSE
    assert refused(store, deb_of(debs, header.tobuf(tarfile.GNU_FORMAT))) == "bad-tar"


def test_decoder_memory(store: Store, debs: Path) -> None:
    """A stream that wants a dictionary of 1.5 GiB."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1536 << 20}]
    data = tar_bytes(BENIGN)
    plain = [("debian-binary", b"2.0\n"), ("control.tar", tar_bytes(CONTROL_MEMBERS))]
    twin = [*plain, ("data.tar.xz", lzma.compress(data, preset=0))]
    taken(store, raw_deb(debs, "twin.deb", data=b"", control=b"", ar=twin))
    # Encoding with that dictionary would need the memory; so only its size is made a lie.
    stream = bytearray(lzma.compress(data, filters=[filters[0] | {"dict_size": 1 << 20}]))
    position = stream.index(b"\x21\x01", 12) + 2
    stream[position] = 37  # 1.5 GiB in the coding of the xz format, 5.3.1
    size = (stream[12] + 1) * 4
    stream[12 + size - 4 : 12 + size] = zlib.crc32(stream[12 : 12 + size - 4]).to_bytes(4, "little")
    hostile = [*plain, ("data.tar.xz", bytes(stream))]
    assert (
        refused(store, raw_deb(debs, "evil.deb", data=b"", control=b"", ar=hostile)) == "truncated"
    )


@pytest.mark.parametrize("compression", ["none", "gz", "xz", "zst"])
@pytest.mark.parametrize("keep", [0, 4, 0.5, 0.99])
def test_cut_streams(store: Store, debs: Path, compression: str, keep: float) -> None:
    """Four bytes of zstd make dpkg-deb 1.21.22 spin for ever (CVE-2026-2219)."""
    data = compress(tar_bytes([*BENIGN, tar_member("./noise", os.urandom(50_000))]), compression)
    suffix = "" if compression == "none" else f".{compression}"

    def deb(content: bytes) -> Path:
        members = [
            ("debian-binary", b"2.0\n"),
            ("control.tar", tar_bytes(CONTROL_MEMBERS)),
            (f"data.tar{suffix}", content),
        ]
        return raw_deb(debs, "evil.deb", data=b"", control=b"", ar=members)

    taken(store, deb(data))
    length = int(len(data) * keep) if isinstance(keep, float) else keep
    if keep == 0.99 and compression == "none":
        length = 20_000  # the last hundredth is only padding
    assert refused(store, deb(data[:length])) == "truncated"


@pytest.mark.parametrize("compression", ["gz", "xz"])
def test_damaged_streams(store: Store, debs: Path, compression: str) -> None:
    good = deb_of(debs, BENIGN, compression=compression)
    taken(store, good)
    content = bytearray(good.read_bytes())
    for place in range(len(content) - 60, len(content) - 4, 7):
        content[place] ^= 0xFF
    good.write_bytes(content)
    assert refused(store, good) in ("truncated", "bad-tar", "hash-mismatch", "unsafe-path")


def test_damaged_tar_header(store: Store, debs: Path) -> None:
    """tarfile takes this for the end of the archive, and would import half a package."""
    data = bytearray(tar_bytes(BENIGN))
    data[2 * 512 + 1] ^= 0xFF
    assert refused(store, deb_of(debs, bytes(data))) == "bad-tar"


def test_content_where_none_belongs(store: Store, debs: Path) -> None:
    header, _ = tar_member("./usr/l", kind="l", target="x")
    header.size = 512
    data = tar_bytes(BENIGN[:2])[:1024] + header.tobuf(tarfile.GNU_FORMAT) + bytes(2048)
    assert refused(store, deb_of(debs, data)) == "bad-tar"


# The container


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


def test_ar_bytes_are_deterministic() -> None:
    assert ar_bytes([("a", b"x")]) == ar_bytes([("a", b"x")])
