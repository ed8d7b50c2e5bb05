"""Writing the catalogue of an index (runs in the worker; its format is in archive.catalogue)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import apt_pkg

from dolmen.archive.catalogue import FILE_NAMES, FORMAT, STAMP_NAME, identity
from dolmen.archive.index import Index
from dolmen.archive.universe import Universe
from dolmen.model.spec import PACKAGE_NAME
from dolmen.support.clock import monotonic
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted
from dolmen.support.files import write_atomic

_FIELD = re.compile(
    rb"^(Package|Version|Architecture|Installed-Size|Description|Provides): *(.*)$", re.MULTILINE
)
_WORD = re.compile(r"[0-9A-Za-z][A-Za-z0-9.+~:-]*")
_NUMBER = re.compile(r"[0-9]{1,12}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_MAX_DESCRIPTION = 300
_MAX_PROVIDES = 4000

_Row = tuple[str, str, str, int, int, int, str, str, str]


def write_catalogue(index: Index, request: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Write the catalogue beside the index; {"packages": how many}."""
    started = monotonic()
    emit(PhaseStarted(Phase.INDEX))
    root = Path(request["root"])
    stamp = identity(root / STAMP_NAME)
    universe = Universe(
        index.cache(),
        index.releases,
        index.sources,
        request["suite"],
        request["architectures"],
        request["preferences"],
    )
    files = [file for file in universe.cache.file_list if not file.not_source]
    rows: dict[str, list[_Row]] = {}
    for number, file in enumerate(files):
        emit(PhaseProgress(Phase.INDEX, number, len(files), item=file.archive or ""))
        for row in _rows(Path(file.filename).read_bytes(), number):
            rows.setdefault(row[0], []).append(row)
    header = {
        "format": FORMAT,
        "index": stamp,
        "fetched": json.loads((root / STAMP_NAME).read_bytes())["fetched"],
        "files": [
            {
                "file": Path(file.filename).name,
                "suite": index.releases[universe.records.release(file)].suite,
            }
            for file in files
        ],
    }
    body = "".join(_lines(rows, _candidates(universe), tuple(request["architectures"]))).encode()
    head = json.dumps({**header, "size": len(body)}).encode()
    for old in root.glob(f"{FILE_NAMES}*"):
        if old.stat().st_mtime_ns < (stamp or [0])[0]:
            old.unlink(missing_ok=True)
    write_atomic(root / request["catalogue"], head + b"\n" + body)
    emit(PhaseFinished(Phase.INDEX, len(rows), monotonic() - started))
    return {"packages": len(rows)}


def _rows(data: bytes, number: int) -> Iterator[_Row]:
    """The stanzas of one index file; what is no package's is left out."""
    start = 0
    while start < len(data):
        end = data.find(b"\n\n", start)
        end = len(data) if end < 0 else end
        found = _FIELD.findall(data[start:end])
        fields = {key: value.decode(errors="replace") for key, value in reversed(found)}
        name = fields.get(b"Package", "")
        version = fields.get(b"Version", "")
        architecture = fields.get(b"Architecture", "")
        if PACKAGE_NAME.fullmatch(name) and _WORD.fullmatch(version + architecture):
            size = fields.get(b"Installed-Size", "")
            yield (
                name,
                architecture,
                version,
                number,
                start,
                end - start,
                size if _NUMBER.fullmatch(size) else "0",
                _CONTROL.sub(" ", fields.get(b"Description", ""))[:_MAX_DESCRIPTION].strip(),
                _provided(fields.get(b"Provides", "")),
            )
        start = end + 2


def _provided(field: str) -> str:
    """The names of a Provides field, without versions."""
    if not field:
        return ""
    names = (part.partition("(")[0].partition(":")[0].strip() for part in field.split(","))
    return ",".join(dict.fromkeys(n for n in names if PACKAGE_NAME.fullmatch(n)))[:_MAX_PROVIDES]


def _candidates(universe: Universe) -> dict[tuple[str, str], str]:
    """(name, architecture) -> the version that would be installed, where there is a choice."""
    found = {}
    for package in universe.cache.packages:
        if package.has_versions and len(package.version_list) > 1:
            version = universe.candidate(package)
            if version is not None:
                found[package.name, package.architecture] = version.ver_str
    return found


def _lines(
    rows: Mapping[str, list[_Row]],
    candidates: Mapping[tuple[str, str], str],
    architectures: tuple[str, ...],
) -> Iterator[str]:
    newest = cmp_to_key(lambda a, b: apt_pkg.version_compare(str(b), str(a)))
    for name in sorted(rows):
        group = rows[name]
        if len(group) > 1:
            group.sort(key=lambda row: (row[3], row[4]))
            group.sort(key=lambda row: newest(row[2]))
            group.sort(key=lambda row: _order(row[1], architectures))
        marked: set[str] = set()
        chosen = []
        for row in group:
            native = architectures[0] if row[1] == "all" else row[1]
            wanted = candidates.get((name, native), row[2])
            first = row[2] == wanted and native not in marked
            marked |= {native} if first else set()
            chosen.append((not first, row))
        if len(group) > 1:
            chosen.sort(key=lambda pair: (_order(pair[1][1], architectures), pair[0]))
        for rest, row in chosen:
            _, arch, version, file, offset, length, size, description, provides = row
            mark = "" if rest else "*"
            yield (
                f"{name}\t{description}\t{mark}\t{arch}\t{version}\t{file}\t{offset}\t{length}\t"
                f"{size}\t{provides}\n"
            )


def _order(architecture: str, architectures: tuple[str, ...]) -> int:
    """The native architecture and `all` first."""
    if architecture == "all" or architecture not in architectures:
        return 0
    return architectures.index(architecture)
