"""Debian changelogs (deb-changelog(5)), read leniently: what is no entry is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HEAD = re.compile(
    r"(?P<source>[a-z0-9][a-z0-9+.-]*) \((?P<version>[^)\s]{1,200})\)(?P<suites>[^;]*);(?P<rest>.*)"
)
_URGENCY = re.compile(r"urgency=([A-Za-z]+)", re.IGNORECASE)
_CVE = re.compile(r"\bCVE-[0-9]{4}-[0-9]{4,7}\b")
_MAX_LINES = 2000


@dataclass(frozen=True, slots=True)
class ChangelogEntry:
    """One version: what changed (lines as written, without their common indent), who and when."""

    source: str
    version: str
    suites: str
    urgency: str
    lines: tuple[str, ...]
    signed: str = ""

    @property
    def cves(self) -> tuple[str, ...]:
        """The CVE numbers mentioned."""
        return cve_numbers(self.lines)


def parse_changelog(text: str) -> tuple[ChangelogEntry, ...]:
    """The entries in the file's order, which is newest first."""
    found: list[ChangelogEntry] = []
    head: re.Match[str] | None = None
    lines: list[str] = []
    signed = ""

    def close() -> None:
        if head is not None:
            urgency = _URGENCY.search(head["rest"])
            found.append(
                ChangelogEntry(
                    head["source"],
                    head["version"],
                    head["suites"].strip(),
                    urgency[1].lower() if urgency else "",
                    _trimmed(lines),
                    signed,
                )
            )

    for line in text.splitlines():
        match = _HEAD.match(line) if line[:1] not in ("", " ", "\t") else None
        if match is not None:
            close()
            head, lines, signed = match, [], ""
        elif line.startswith(" -- "):
            signed = line[4:].strip()
        elif head is not None and len(lines) < _MAX_LINES and line[:1] in ("", " ", "\t"):
            lines.append(line.removeprefix("  ").rstrip())
    close()
    return tuple(found)


def cve_numbers(texts: Iterable[str]) -> tuple[str, ...]:
    """Every CVE number mentioned, by year and number."""
    found = {number for text in texts for number in _CVE.findall(text)}
    return tuple(sorted(found, key=lambda number: tuple(map(int, number.split("-")[1:]))))


def _trimmed(lines: list[str]) -> tuple[str, ...]:
    start, end = 0, len(lines)
    while start < end and not lines[start]:
        start += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return tuple(lines[start:end])
