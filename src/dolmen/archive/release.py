"""Release files as apt left them, verified, in the lists directory (runs in the worker)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apt_pkg

from dolmen.archive.snapshot import format_stamp, parse_stamp
from dolmen.support.errors import ArchiveError


@dataclass(frozen=True, slots=True)
class Release:
    """One Release file: where it is from, what it says of itself, and its digest.

    `uri` is the archive's root with a final slash; `date` and `valid_until` are stamps
    (YYYYMMDDTHHMMSSZ), empty where the file has none; `components` and `architectures` are what it
    offers, separated by blanks; `stem` is the prefix of the names that apt
    gives to the index files of this suite.
    """

    uri: str
    suite: str
    sha256: str
    date: str
    valid_until: str
    origin: str
    label: str
    codename: str
    archive: str
    components: str
    architectures: str
    stem: str

    @property
    def file_name(self) -> str:
        """The name of its file in the lists directory, if it is signed inline."""
        return f"{self.stem}InRelease"

    @property
    def suite_uri(self) -> str:
        """What identifies it among the sources."""
        return f"{self.uri}dists/{self.suite}/"

    def belongs_to(self, source: Mapping[str, Any]) -> bool:
        """Whether a source names this archive; a pinned source names it by the service's URI."""
        wanted = [re.sub(r"^file:/*", "file:///", uri).rstrip("/") for uri in source["effective"]]
        return self.uri.rstrip("/") in wanted


def read_release(lists: Path, uri: str, suite: str) -> Release:
    """Read the (verified) Release file of a suite; only its signed part counts.

    Raises ArchiveError (reason "release-missing").
    """
    stem = apt_pkg.uri_to_filename(f"{uri}dists/{suite}/")
    for kind in ("InRelease", "Release"):
        path = lists / f"{stem}{kind}"
        if path.is_file():
            break
    else:
        raise ArchiveError(f"{uri} has no Release file for suite {suite}", reason="release-missing")
    section = signed_section(path)
    return Release(
        uri=f"file:///{uri[5:].lstrip('/')}" if uri.startswith("copy:") else uri,
        suite=suite,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        date=date_stamp(section.get("Date", "")),
        valid_until=date_stamp(section.get("Valid-Until", "")),
        origin=_word(section.get("Origin", "")),
        label=_word(section.get("Label", "")),
        codename=_word(section.get("Codename", "")),
        archive=_word(section.get("Suite", "")),
        components=_word(section.get("Components", "")),
        architectures=_word(section.get("Architectures", "")),
        stem=stem,
    )


def signed_section(path: Path) -> Any:
    """The fields of a Release file, without what stands outside its signature."""
    fd = apt_pkg.open_maybe_clear_signed_file(str(path))
    with open(fd, "rb", closefd=True) as stream, apt_pkg.TagFile(stream) as tags:
        return next(iter(tags), None) or {}


def lacks(release: Release, source: Mapping[str, Any], architectures: Sequence[str]) -> list[str]:
    """What a source or a manifest asks for and this suite does not offer, in words.

    apt only skips it, and everything in it would be an unknown package.
    """
    # some archives write "updates/main" for what sources call main
    offered = {name.rpartition("/")[2] for name in release.components.split()}
    wanted = [name for name in source["components"] if name.rpartition("/")[2] not in offered]
    found = [f"component {name}" for name in wanted] if offered else []
    known = release.architectures.split()
    return found + [f"architecture {name}" for name in architectures if known and name not in known]


def check_pinned(release: Release, stamp: str, locked: frozenset[str]) -> None:
    """Judge a Release file of a snapshot by the pinned moment instead of by the clock.

    A snapshot's Release file has usually expired by today. It is accepted when it was valid at
    the moment that the source is pinned to, or when a lock already vouches for its digest; so a
    service cannot answer a pin with something older than that moment's archive.
    Raises ArchiveError ("release-expired", "release-future").
    """
    if release.sha256 in locked:
        return
    moment = parse_stamp(stamp)
    if release.valid_until and parse_stamp(release.valid_until) < moment:
        raise ArchiveError(
            f"the snapshot {stamp} of {release.suite} holds a Release file that had already "
            f"expired then, on {release.valid_until}",
            reason="release-expired",
            context=release.suite_uri,
            hint="check the pin in dolmen.toml: snapshot",
        )
    if release.date and parse_stamp(release.date) > moment:
        raise ArchiveError(
            f"the snapshot {stamp} of {release.suite} holds a later Release file, of "
            f"{release.date}",
            reason="release-future",
            context=release.suite_uri,
            hint="check the pin in dolmen.toml: snapshot",
        )


def date_stamp(text: str) -> str:
    """A date of a Release file as a stamp, empty when it is none."""
    if not text:
        return ""
    seconds = apt_pkg.str_to_time(text)
    return format_stamp(datetime.fromtimestamp(seconds, UTC)) if seconds else ""


def _word(text: str) -> str:
    """A field for the lock: printable, and short."""
    return "".join(c for c in text if c.isprintable())[:200]


def listed_files(release: Release, lists: Path, stems: Collection[str]) -> list[list[Any]]:
    """What further indexes of a suite are called and hash to: [path, SHA-256, size, by hash].

    `stems`: their paths without the compression's suffix; the smallest form of each, gzip or xz.
    """
    path = next(
        p for k in ("InRelease", "Release") if (p := lists / f"{release.stem}{k}").is_file()
    )
    section = signed_section(path)
    by_hash = section.get("Acquire-By-Hash", "").lower() == "yes"
    best: dict[str, tuple[int, str, str]] = {}
    for line in section.get("SHA256", "").split("\n"):
        words = line.split()
        if len(words) != 3 or not re.fullmatch(r"[0-9a-f]{64} [0-9]{1,12}", " ".join(words[:2])):
            continue
        digest, size, name = words
        stem, _, compression = name.rpartition(".")
        if stem in stems and compression in ("gz", "xz") and int(size):
            best[stem] = min(best.get(stem, (1 << 62, "", "")), (int(size), digest, name))
    return [[name, digest, size, by_hash] for size, digest, name in sorted(best.values())]
