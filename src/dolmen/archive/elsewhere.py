"""Where a package is that the sources do not have: in the other indexes that this store knows.

Nothing is fetched for that. The indexes are searched as bytes, 50 MB in some 20 ms, since nobody
asks often for what does not exist.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.errors import SolveError

_LIST = re.compile(r"_dists_(?P<suite>[^_]+)_[^_]+_binary-[a-z0-9-]+_Packages")
_DATE = re.compile(rb"^Date: *(?:[A-Za-z]{3}, *)?([0-9]{1,2} [A-Za-z]{3} [0-9]{4})\b", re.MULTILINE)
_MAX_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A version in another suite; `date` is that of the suite's Release file, as it has it."""

    suite: str
    version: str
    date: str

    def __str__(self) -> str:
        return f"{self.suite} has it: {self.version}" + (f" ({self.date})" if self.date else "")


def elsewhere(state: Path, name: str, *, but: Collection[str] = ()) -> list[Elsewhere]:
    """The other suites that have a package, one entry each, sorted; `but`: not these.

    `state` holds a directory a set of sources, as for `archive.solve`.
    """
    found: dict[str, Elsewhere] = {}
    with suppress(OSError):
        for path in sorted(state.glob("*/lists/*_Packages")):
            match = _LIST.search(path.name)
            if match is None or match["suite"] in but or match["suite"] in found:
                continue
            with suppress(OSError, ValueError):
                version = _version(path, name)
                if version:
                    date = _date(path, match["suite"])
                    found[match["suite"]] = Elsewhere(match["suite"], version, date)
    return [found[suite] for suite in sorted(found)]


def tell(error: SolveError, state: Path, *, but: Collection[str]) -> SolveError:
    """Add to an "unknown-package" error which other suite has the package, if one does."""
    name = (error.context or "").partition("=")[0].partition("/")[0].partition(":")[0]
    places = elsewhere(state, name, but=but) if error.reason == "unknown-package" and name else []
    if places:
        error.details = (*map(str, places), *error.details)
        # -updates and -security are no suites to make an environment of
        suite = min((place.suite for place in places), key=len)
        error.hint = f"for once: dolmen shell -p {name} --suite {suite}"
    return error


def _version(path: Path, name: str) -> str:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        needle = f"Package: {name}\n".encode()
        at = 0 if data[: len(needle)] == needle else data.find(b"\n" + needle) + 1
        if not at and data[: len(needle)] != needle:
            return ""
        end = data.find(b"\n\n", at)
        stanza = data[at : end if end >= 0 else len(data)]
    for line in stanza.split(b"\n"):
        if line.startswith(b"Version:"):
            return line[8:].strip().decode(errors="replace")
    return ""


def _date(path: Path, suite: str) -> str:
    head = path.name.partition(f"_dists_{suite}_")[0] + f"_dists_{suite}_"
    for name in ("InRelease", "Release"):
        with suppress(OSError), (path.parent / f"{head}{name}").open("rb") as stream:
            match = _DATE.search(stream.read(_MAX_HEAD))
            if match is not None:
                return match[1].decode()
    return ""
