"""Ages, stamps and who is exempt from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dolmen.archive.ages import frozen_sources, stamps
from dolmen.model import Manifest, Source

NOON = datetime(2026, 1, 31, 12, 34, 56, tzinfo=UTC)
STAMP = "20260101T000000Z"
DEBIAN = Source(("https://a.example/debian",), ("bookworm", "bookworm-updates"))
SECURITY = Source(("https://a.example/debian-security",), ("bookworm-security",))
VENDOR = Source(("https://v.example/apt",), ("stable",), signed_by="/keys/vendor.gpg")
INLINE = replace(VENDOR, signed_by="-----BEGIN PGP PUBLIC KEY BLOCK-----\n")


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("14d", "20260117T000000Z"),
        ("1d", "20260130T000000Z"),
        ("2w", "20260117T000000Z"),
        ("31d", "20251231T000000Z"),
    ],
)
def test_an_age_is_reckoned_from_the_beginning_of_the_day(age: str, expected: str) -> None:
    manifest = Manifest("bookworm", snapshot=age)
    assert stamps(manifest, NOON) == {age: expected}
    assert stamps(manifest, NOON.replace(hour=0, minute=0, second=0)) == {age: expected}
    elsewhere = NOON.astimezone(timezone(timedelta(hours=14)))
    assert stamps(manifest, elsewhere) == {age: expected}


def test_what_a_lock_found_stays_and_what_is_not_asked_for_goes() -> None:
    manifest = Manifest(
        "bookworm",
        snapshot="14d",
        sources=(replace(DEBIAN, snapshot="2d"),),
        ages=(("14d", STAMP), ("9d", STAMP)),
    )
    assert stamps(manifest, NOON) == {"14d": STAMP, "2d": "20260129T000000Z"}
    assert stamps(Manifest("bookworm", snapshot=STAMP)) == {}


def test_an_age_exempts_security_and_a_stamp_does_not() -> None:
    sources = (DEBIAN, SECURITY)
    aged = Manifest("bookworm", snapshot="14d", ages=(("14d", STAMP),))
    assert [s.snapshot for s in frozen_sources(aged, sources)] == [STAMP, None]
    fixed = Manifest("bookworm", snapshot=STAMP)
    assert [s.snapshot for s in frozen_sources(fixed, sources)] == [STAMP, STAMP]
    both = replace(DEBIAN, suites=("bookworm", "bookworm-security", "bullseye/updates"))
    found = frozen_sources(aged, (both,))
    assert [(s.suites, s.snapshot) for s in found] == [
        (("bookworm",), STAMP),
        (("bookworm-security", "bullseye/updates"), None),
    ]


def test_a_source_s_own_moment_is_for_all_of_it() -> None:
    aged = Manifest("bookworm", snapshot="14d", ages=(("14d", STAMP), ("2d", "20260202T000000Z")))
    sources = (
        replace(SECURITY, snapshot="14d"),
        replace(DEBIAN, snapshot="now"),
        replace(VENDOR, snapshot="20260303T000000Z"),
    )
    moments = [s.snapshot for s in frozen_sources(aged, sources)]
    assert moments == [STAMP, None, "20260303T000000Z"]


def test_nobody_keeps_the_past_of_others() -> None:
    fixed = Manifest("bookworm", snapshot=STAMP)
    stamped = replace(VENDOR, uris=("https://s.example/archive/vendor/20250101T000000Z/",))
    named = replace(DEBIAN, signed_by="/usr/share/keyrings/debian-archive-keyring.gpg")
    found = frozen_sources(fixed, (VENDOR, INLINE, named, stamped))
    assert [s.snapshot for s in found] == [None, None, STAMP, STAMP]


def test_without_a_moment_nothing_changes() -> None:
    sources = (DEBIAN, SECURITY, VENDOR)
    assert frozen_sources(Manifest("bookworm"), sources) == sources
