"""What a set of sources offers, by name and description, without apt.

`archive.cataloguing` writes the file beside the package index, once an index; reading it takes
milliseconds. First a line of JSON, then one line an index stanza, sorted by name and the version
that would be installed first: name, description, `*` for that one, architecture, version, number
of the index file, offset and length of the stanza in it, Installed-Size, what it provides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolmen.archive.asking import ask, request, sources_seen
from dolmen.model import Manifest
from dolmen.model.digest import digest_text
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, ignore

FORMAT = 1
FILE_NAMES = "catalogue."
STAMP_NAME = "index.json"

#: Ranks of a word's place, the best first.
EXACT, PREFIX, WORD, NAME, DESCRIPTION = range(5)


@dataclass(frozen=True, slots=True)
class Offer:
    """One version of a package that the sources offer.

    `chosen`: it is the one that would be installed. `installed_size` counts KiB; `description` is
    the synopsis. The rest says where its whole stanza is.
    """

    name: str
    description: str
    chosen: bool
    architecture: str
    version: str
    suite: str
    installed_size: int
    provides: tuple[str, ...]
    file: str
    offset: int
    length: int


class Catalogue:
    """An opened catalogue; make it by `catalogue`."""

    def __init__(self, root: Path, header: dict[str, Any], content: bytes) -> None:
        self._lists = root / "lists"
        self._files = header["files"]
        self._content = content
        self._start = content.index(b"\n")
        self._lower: bytes | None = None
        #: Seconds since 1970 when the package index was fetched.
        self.fetched = float(header["fetched"])

    def search(self, words: Sequence[str], *, limit: int | None = None) -> tuple[int, list[Offer]]:
        """Packages in whose names and descriptions all words stand: how many, and the best ones.

        Exact names come before names that begin with a word, those before names that hold it, and
        these before descriptions.
        """
        needles = [word.lower().encode(errors="replace") for word in words if word]
        if not needles:
            return 0, []
        joined = b"-".join(needles)
        found: list[tuple[int, int, bytes, int]] = []
        for at, line in self._lines_with(max(needles, key=len)):
            name, description, rest = line.split(b"\t", 2)
            if not rest.startswith(b"*"):
                continue
            rank = 0
            for needle in needles:
                place = _place(needle, name, description)
                if place is None:
                    break
                rank += place
            else:
                found.append((0 if name == joined else rank, len(name), name, at))
        # one place a package, though several architectures have it
        places = {name: at for _rank, _length, name, at in sorted(found, reverse=True)}
        best = list(places.values())[::-1]
        return len(best), [self._offer(at) for at in best[:limit]]

    def offers(self, name: str) -> list[Offer]:
        """All versions of a package, the one that would be installed first."""
        needle = f"\n{name}\t".encode(errors="replace")
        found = []
        at = self._content.find(needle, self._start)
        while at >= 0:
            found.append(self._offer(at + 1))
            end = self._content.find(b"\n", at + 1)
            at = end if self._content.startswith(needle, end) else -1
        return found

    def providers(self, virtual: str) -> list[Offer]:
        """The packages that provide a name, sorted by theirs."""
        needle = virtual.encode(errors="replace")
        found: dict[str, Offer] = {}
        for at, line in self._lines_with(needle):
            fields = line.split(b"\t")
            if fields[2] == b"*" and needle in fields[-1].split(b","):
                offer = self._offer(at)
                found.setdefault(offer.name, offer)
        return [found[name] for name in sorted(found)]

    def stanza(self, offer: Offer) -> str:
        """The whole index stanza of an offer; empty where the index is another by now."""
        try:
            with (self._lists / offer.file).open("rb") as stream:
                stream.seek(offer.offset)
                text = stream.read(offer.length).decode(errors="replace")
        except OSError:
            return ""
        return text if f"Package: {offer.name}\n" in f"{text}\n" else ""

    def names(self) -> list[str]:
        """The names of all packages."""
        found = dict.fromkeys(
            line.partition(b"\t")[0] for line in self._content.split(b"\n")[1:] if line
        )
        return [name.decode(errors="replace") for name in found]

    def _lines_with(self, needle: bytes) -> Iterator[tuple[int, bytes]]:
        """(offset, folded line) of every line that holds a text anywhere."""
        if self._lower is None:
            self._lower = self._content.lower()
        folded = self._lower
        at = folded.find(needle, self._start)
        while at >= 0:
            start = folded.rfind(b"\n", 0, at) + 1
            end = folded.find(b"\n", at)
            yield start, folded[start:end]
            at = folded.find(needle, end)

    def _offer(self, at: int) -> Offer:
        line = self._content[at : self._content.index(b"\n", at)].decode(errors="replace")
        name, description, mark, arch, version, file, offset, length, size, provides = line.split(
            "\t"
        )
        source = self._files[int(file)]
        return Offer(
            name=name,
            description=description,
            chosen=mark == "*",
            architecture=arch,
            version=version,
            suite=source["suite"],
            installed_size=int(size),
            provides=tuple(provides.split(",")) if provides else (),
            file=source["file"],
            offset=int(offset),
            length=int(length),
        )


def catalogue(
    manifest: Manifest, *, state: Path, refresh: bool = False, emit: Emit = ignore
) -> Catalogue:
    """Open what the sources of a manifest offer.

    `state`: as for archive.solve. The package index is fetched where there is none, or when
    `refresh` says so, never because of its age: looking around works offline.
    Raises ArchiveError (see archive.index).
    """
    chosen = sources_seen(manifest, state)
    path = chosen.root / f"{FILE_NAMES}{_choice(manifest)[:16]}"
    found = None if refresh else _open(path)
    if found is not None:
        return found
    known = (chosen.root / STAMP_NAME).exists()
    question = request("catalogue", chosen, manifest, refresh=refresh or not known) | {
        "catalogue": path.name
    }
    try:
        ask(chosen, question, emit)
    except ArchiveError as error:
        if error.reason != "no-index":
            raise
        ask(chosen, {**question, "refresh": True}, emit)
    found = _open(path)
    if found is None:
        raise ArchiveError(
            "the package index changes while it is being read",
            reason="bad-index",
            context=str(chosen.root),
            hint="try again in a moment",
        )
    return found


def identity(stamp: Path) -> list[int] | None:
    """What tells one index from the next: time and size of the file that is written last."""
    try:
        found = os.stat(stamp)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size]


def _choice(manifest: Manifest) -> str:
    """Names what decides which version would be installed, apart from the index itself."""
    return digest_text(repr((manifest.suite, manifest.pins, manifest.sources)))


def _open(path: Path) -> Catalogue | None:
    """The catalogue, if it was made of the index that is there."""
    try:
        content = path.read_bytes()
        start = content.index(b"\n")
        header = json.loads(content[:start])
        fits = (
            header["format"] == FORMAT
            and header["size"] == len(content) - start - 1
            and header["index"] == identity(path.parent / STAMP_NAME)
        )
        return Catalogue(path.parent, header, content) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _place(needle: bytes, name: bytes, description: bytes) -> int | None:
    at = name.find(needle)
    if at < 0:
        return DESCRIPTION if needle in description else None
    if at == 0:
        return EXACT if len(name) == len(needle) else PREFIX
    return WORD if not name[at - 1 : at].isalnum() else NAME
