from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from dolmen.model.digest import Sha256
from dolmen.model.lock import Lock, parse_lock, render_lock
from dolmen.model.package import LockedPackage, ReleaseFile
from dolmen.support.errors import DeclarationError
from tests.unit.model.strategies import locks

DIGEST = Sha256("ab" * 32)
LOCK = Lock(
    suite="bookworm",
    architectures=("amd64", "i386"),
    inputs=Sha256("cd" * 32),
    solver="apt 2.6.1",
    releases=(
        ReleaseFile(
            uri="http://archive.example/debian",
            suite="bookworm",
            sha256=DIGEST,
            date="Sat, 10 Jan 2026 11:05:22 UTC",
            codename="bookworm",
            origin="My_Debian -",
        ),
    ),
    packages=(
        LockedPackage("jq", "1.6-2.1", "amd64", DIGEST, 100, "pool/main/j/jq.deb", 0, True),
        LockedPackage(
            name="libc6",
            version="2.36-9+deb12u10",
            architecture="amd64",
            sha256=DIGEST,
            size=200,
            filename="pool/main/g/glibc/libc6.deb",
            release=0,
            essential=True,
            multi_arch="same",
            source="glibc",
            installed_size=12,
            fields=(("Depends", "libgcc-s1"), ("Description", "GNU C Library")),
        ),
        LockedPackage("libc6", "2.36-9+deb12u10", "i386", DIGEST, 300, "pool/libc6_i386.deb", 0),
    ),
)
TEXT = render_lock(LOCK)


def edited(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1
    return TEXT.replace(old, new, 1)


def line_of(text: str, needle: str) -> int:
    return next(n for n, line in enumerate(text.split("\n"), 1) if needle in line)


def refused(text: str) -> DeclarationError:
    with pytest.raises(DeclarationError) as caught:
        parse_lock(text)
    assert caught.value.exit_code == 3
    return caught.value


def test_the_file_is_a_packages_index_with_a_header() -> None:
    assert TEXT.startswith("Dolmen-Lock: 1\nSuite: bookworm\nArchitectures: amd64 i386\n")
    assert "\n\nPackage: jq\nVersion: 1.6-2.1\nArchitecture: amd64\nRequested: yes\n" in TEXT
    assert TEXT.endswith(f"Size: 300\nSHA256: {DIGEST}\n")
    assert parse_lock(TEXT) == LOCK


@given(locks())
def test_round_trip(lock: Lock) -> None:
    text = render_lock(lock)
    assert parse_lock(text) == lock
    assert render_lock(parse_lock(text)) == text
    assert parse_lock(text).digest() == lock.digest()


def test_a_field_order_of_its_own_is_kept_apart_from_the_order_of_packages() -> None:
    backwards = replace(LOCK, packages=LOCK.packages[::-1])
    assert render_lock(backwards) == TEXT


@pytest.mark.parametrize(
    ("old", "new", "needle"),
    [
        # (table R18) hash, size, version, extra URL, unknown field, duplicate key
        (f"SHA256: {DIGEST}", "SHA256: " + "AB" * 32, "SHA256: AB"),
        (f"SHA256: {DIGEST}", "SHA256: " + "ab" * 31, "SHA256: ab"),
        ("Size: 100", "Size: -1", "Size: -1"),
        ("Size: 100", "Size: 0", "Size: 0"),
        ("Size: 100", "Size: 1e3", "Size: 1e3"),
        ("Size: 100", "Size: " + "9" * 5000, "Size: 99"),
        ("Size: 100", "Size: ١٠٠", "Size: ١"),
        ("Installed-Size: 12", "Installed-Size: x", "Installed-Size: x"),
        ("Version: 1.6-2.1", "Version: 1.6 2.1", "Version: 1.6 2"),
        ("Version: 1.6-2.1", "Version: ../../etc", "Version: .."),
        ("Version: 1.6-2.1", "Version: 1.6-2.1\n x", "Version: 1.6-2.1"),
        ("Architecture: amd64", "Architecture: ../amd64", "Architecture: .."),
        ("Architectures: amd64 i386", "Architectures: amd64 ../x", "Architectures:"),
        ("Multi-Arch: same", "Multi-Arch: perhaps", "Multi-Arch: perhaps"),
        ("Requested: yes", "Requested: no", "Requested: no"),
        ("Essential: yes", "Essential: maybe", "Essential: maybe"),
        ("Source: glibc", "Source: glibc; id", "Source: glibc;"),
        ("Package: jq", "Package: -o=jq", "Package: -o"),
        ("Package: jq", "Package: jq\nURL: http://evil.example/x.deb", "URL:"),
        ("Package: jq", "Package: jq\npackage: curl", "package: curl"),
        ("Filename: pool/main/j/jq.deb", "Filename: ../../jq.deb", "Filename: .."),
        ("Filename: pool/main/j/jq.deb", "Filename: /etc/passwd", "Filename: /"),
        ("Filename: pool/main/j/jq.deb", "Filename: pool//jq.deb", "Filename: pool//"),
        ("Solver: apt 2.6.1", "Solver: apt\n x", "Solver: apt"),
        ("Suite: bookworm", "Suite: -x", "Suite: -x"),
        ("Suite: bookworm", "Suite: bookworm\nInclude: /etc/shadow", "Include:"),
        ("bookworm My", "bookworm My 2", "My 2"),
        (" http://archive.example/debian", " archive", " archive"),
        (" http://archive.example/debian", " http://a\x1b]8;;/", "a\x1b"),
        ("Releases:", "Releases: x", "Releases: x"),
        ("Description: GNU", "Description: \x1b[31mGNU", "Description:"),
    ],
)
def test_an_edited_lock_is_refused_with_its_line(old: str, new: str, needle: str) -> None:
    assert parse_lock(TEXT) == LOCK
    text = edited(old, new)
    error = refused(text)
    assert error.reason == "bad-lock"
    assert any(f"line {line_of(text, needle)}:" in detail for detail in error.details)
    assert all(len(line) < 300 for line in error.details)


@pytest.mark.parametrize(
    "field", ["Package", "Version", "Architecture", "Release", "Filename", "Size", "SHA256"]
)
def test_a_missing_field_names_its_stanza(field: str) -> None:
    start = TEXT.index("\n\nPackage: jq") + 2
    head, stanza = TEXT[:start], TEXT[start:]
    line = next(line for line in stanza.split("\n") if line.startswith(f"{field}: "))
    error = refused(head + stanza.replace(line + "\n", "", 1))
    assert any(f"field {field} is missing" in detail for detail in error.details)


def test_a_release_beyond_the_header_is_refused() -> None:
    assert refused(edited("Release: 0", "Release: 1")).reason == "bad-lock"


def test_a_package_twice_is_refused_where_it_comes_again() -> None:
    again = TEXT[TEXT.index("Package: jq") :].split("\n\n", 1)[0]
    text = f"{TEXT}\n{again}\n"
    error = refused(text)
    last = len(TEXT.split("\n")) + 1
    assert error.details == (f"line {last}: jq:amd64 is given twice",)


def test_all_faults_are_told_at_once() -> None:
    text = edited("Size: 100", "Size: x").replace("Version: 2.36", "Version: ;", 1)
    assert len(refused(text).details) == 2


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# nothing\n", "<html>\n", "\x00" * 100, "Package: a\n"]
)
def test_what_is_no_lock_is_refused(text: str) -> None:
    assert refused(text).reason == "bad-lock"


def test_a_newer_format_is_refused_before_anything_else() -> None:
    error = refused(edited("Dolmen-Lock: 1", "Dolmen-Lock: 2\nNew: x"))
    assert error.reason == "lock-format"


def test_the_digest_names_what_decides_the_image() -> None:
    digest = LOCK.digest()
    jq = LOCK.packages[0]
    assert replace(LOCK, packages=LOCK.packages[::-1]).digest() == digest
    assert replace(LOCK, releases=(), solver="other", inputs=DIGEST).digest() == digest
    for other in (
        replace(jq, version="1.7"),
        replace(jq, sha256=Sha256("00" * 32)),
        replace(jq, requested=False),
        replace(jq, architecture="all"),
    ):
        assert replace(LOCK, packages=(other, *LOCK.packages[1:])).digest() != digest
    assert replace(LOCK, architectures=("i386", "amd64")).digest() != digest


def test_find_prefers_the_native_architecture() -> None:
    turned = replace(LOCK, packages=LOCK.packages[::-1])
    for lock in (LOCK, turned):
        found = lock.find("libc6")
        assert found is not None
        assert found.architecture == lock.architecture == "amd64"
        foreign = lock.find("libc6", "i386")
        assert foreign is not None
        assert foreign.size == 300
    assert LOCK.find("libc6", "arm64") is None
    assert LOCK.find("curl") is None
