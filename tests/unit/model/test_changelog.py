"""Changelogs as packages ship them, good and bad."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dolmen.model.changelog import cve_numbers, parse_changelog

TEXT = """\
jq (1.6-2.1+deb12u2) bookworm-security; urgency=high

  * Fix CVE-2024-23337 and CVE-2025-48060.
    Closes: #1234

 -- A Person <a@example.org>  Mon, 01 Sep 2025 10:00:00 +0200

jq (1.6-2.1) unstable; urgency=medium

  * Non-maintainer upload.

 -- B Person <b@example.org>  Sun, 09 Jan 2022 10:00:00 +0000
"""


def test_entries() -> None:
    first, second = parse_changelog(TEXT)
    assert (first.source, first.version, first.suites) == (
        "jq",
        "1.6-2.1+deb12u2",
        "bookworm-security",
    )
    assert first.urgency == "high"
    assert first.lines == (
        "* Fix CVE-2024-23337 and CVE-2025-48060.",
        "  Closes: #1234",
    )
    assert first.cves == ("CVE-2024-23337", "CVE-2025-48060")
    assert first.signed.startswith("A Person")
    assert second.version == "1.6-2.1"
    assert second.cves == ()


def test_numbers_are_sorted_as_numbers() -> None:
    texts = ["CVE-2025-10000 CVE-2025-9999", "CVE-2025-9999 XCVE-2025-1111 CVE-25-1 CVE-2024-77777"]
    assert cve_numbers(texts) == ("CVE-2024-77777", "CVE-2025-9999", "CVE-2025-10000")


def test_what_is_no_changelog_has_no_entries() -> None:
    assert parse_changelog("") == ()
    assert parse_changelog("Version 1.2\n  * a\nname: (x)\n") == ()


@given(st.text(max_size=400))
def test_any_text_is_survived(text: str) -> None:
    parse_changelog(text)
    parse_changelog(TEXT + text)
