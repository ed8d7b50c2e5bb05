"""The host's Debian sources, re-targeted; everything else is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.archive import default_sources
from dolmen.archive.sources import DEBIAN_KEYRING, keyring
from dolmen.model import Source
from dolmen.support.errors import ArchiveError

MIRROR = "http://mirror.example.org/debian"
SECURITY = "http://mirror.example.org/debian-security"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "etc/sources.list.d").mkdir(parents=True)
    return tmp_path / "etc"


def found(etc: Path, suite: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    sources = default_sources(suite, etc=etc, lists=etc.parent / "lists")
    return [(source.uris[0], source.suites, source.components) for source in sources]


def test_deb822(etc: Path) -> None:
    (etc / "sources.list.d/debian.sources").write_text(
        f"""\
# a comment
Types: deb deb-src
# another, within
URIs: {MIRROR}
Suites: bookworm bookworm-updates bookworm-backports
 bookworm-proposed-updates
Components: main contrib
Signed-By: {DEBIAN_KEYRING}

Types: deb
URIs: {SECURITY}
Suites: bookworm-security
Components: main contrib
Signed-By: {DEBIAN_KEYRING}

Types: deb
Enabled: no
URIs: http://off.example.org/debian
Suites: bookworm
Components: main
"""
    )
    areas = ("main", "contrib")
    assert found(etc, "trixie") == [
        (MIRROR, ("trixie", "trixie-updates", "trixie-backports"), areas),
        (SECURITY, ("trixie-security",), areas),
    ]
    assert found(etc, "sid") == [(MIRROR, ("sid",), areas)]


def test_one_line(etc: Path) -> None:
    (etc / "sources.list").write_text(
        f"""\
deb [arch=amd64 signed-by={DEBIAN_KEYRING} trusted=yes] {MIRROR} bookworm main non-free-firmware
deb-src {MIRROR} bookworm main
# deb {MIRROR} bookworm-updates main
deb {SECURITY} bullseye/updates main   # old spelling
deb cdrom:[Debian GNU/Linux 12] bookworm main
deb ftp://mirror.example.org/debian bookworm main
nonsense
"""
    )
    assert found(etc, "trixie") == [
        (MIRROR, ("trixie",), ("main", "non-free-firmware")),
        (SECURITY, ("trixie-security",), ("main",)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "deb [signed-by=/usr/share/keyrings/vendor.gpg] https://v.example.org/debian bookworm main",
        "deb https://v.example.org/linux/debian bookworm stable",
        "deb https://v.example.org/php bookworm main",
        "deb https://v.example.org/debian cloud-bookworm main",
        "deb https://v.example.org/debian bookworm-pgdg main",
        "deb https://v.example.org/debian nodistro main",
        "deb https://v.example.org/debian ./",
        "deb https://v.example.org/Debian_12/ /",
    ],
)
def test_third_parties_are_left_out(etc: Path, line: str) -> None:
    (etc / "sources.list.d/vendor.list").write_text(f"{line}\n")
    with pytest.raises(ArchiveError) as caught:
        found(etc, "trixie")
    assert caught.value.reason == "no-sources"
    (etc / "sources.list").write_text(f"deb {MIRROR} bookworm main\n")
    assert found(etc, "trixie") == [(MIRROR, ("trixie",), ("main",))]


def test_the_hosts_own_release_file_decides(etc: Path) -> None:
    """Without a keyring, "/debian bookworm main" may be anybody's."""
    (etc / "sources.list").write_text(f"deb {MIRROR} bookworm main\n")
    lists = etc.parent / "lists"
    lists.mkdir()
    release = lists / "mirror.example.org_debian_dists_bookworm_InRelease"
    release.write_text("-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: Debian\n")
    assert found(etc, "trixie")
    release.write_text("-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: Vendor\n")
    with pytest.raises(ArchiveError):
        found(etc, "trixie")


def test_a_rolling_host(etc: Path) -> None:
    (etc / "sources.list").write_text(f"deb {MIRROR} unstable main\n")
    assert found(etc, "trixie") == [(MIRROR, ("trixie", "trixie-updates"), ("main",))]


def test_a_mirror_list(etc: Path, tmp_path: Path) -> None:
    """As in Debian's cloud images; the file is read, not apt's method for it used."""
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text(f"# ours\n{MIRROR}\tpriority:1\nhttp://second.example.org/debian\n")
    (etc / "sources.list.d/x.sources").write_text(
        f"Types: deb\nURIs: mirror+file://{mirrors}\nSuites: bookworm\nComponents: main\n"
    )
    assert found(etc, "bookworm") == [(MIRROR, ("bookworm",), ("main",))]


def test_a_host_on_a_snapshot(etc: Path) -> None:
    uri = "http://snap.example.org/archive/debian/20260131T000000Z"
    (etc / "sources.list").write_text(f"deb [check-valid-until=no] {uri} bookworm main\n")
    (source,) = default_sources("bookworm", etc=etc, lists=etc)
    assert source.snapshot == "20260131T000000Z"
    assert source.uris == (uri,)


def test_trust_is_taken_from_debians_keyring(etc: Path) -> None:
    (etc / "sources.list").write_text(f"deb [trusted=yes] {MIRROR} bookworm main\n")
    (source,) = default_sources("bookworm", etc=etc, lists=etc)
    assert source.signed_by == str(DEBIAN_KEYRING)


def test_a_missing_keyring(tmp_path: Path) -> None:
    source = Source((MIRROR,), ("bookworm",), signed_by=str(tmp_path / "none.gpg"))
    with pytest.raises(ArchiveError) as caught:
        keyring(source)
    assert caught.value.reason == "no-keyring"
    (tmp_path / "none.gpg").write_bytes(b"")
    assert keyring(source) == str(tmp_path / "none.gpg")
