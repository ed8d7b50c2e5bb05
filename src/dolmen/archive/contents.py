"""Which package of the archive has a file: Contents indexes, made searchable.

They are fetched on first need, checked against the hashes of the verified Release files like
everything else, and turned into files that answer in milliseconds (archive.filenames). They stay
until somebody asks for newer ones: they are big, and what package a command is in rarely changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from dolmen.archive.asking import ask, request, sources_seen
from dolmen.archive.catalogue import STAMP_NAME
from dolmen.archive.configuration import SourceSet
from dolmen.archive.filenames import FileNames
from dolmen.model import Lock, LockedPackage, Manifest, ReleaseFile, Sha256
from dolmen.support.clock import monotonic, wall
from dolmen.support.errors import ArchiveError
from dolmen.support.events import (
    Emit,
    Event,
    Notice,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
    ignore,
)
from dolmen.support.files import write_atomic
from dolmen.support.locking import locked

FORMAT = 1
_DIRECTORY = "contents"
_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the archive (relative path, merged spelling) and the package that has it."""

    package: str
    path: str
    suite: str


class Contents:
    """Opened Contents indexes; make it by `contents`. Close it when done."""

    def __init__(self, directory: Path, state: Mapping[str, Any]) -> None:
        #: Seconds since 1970 when the indexes were fetched.
        self.fetched = float(state["fetched"])
        #: Whether every list that the sources have could be fetched then.
        self.complete = bool(state["complete"])
        self._parts: list[tuple[str, FileNames]] = []
        self._stack = ExitStack()
        for entry in state["files"]:
            part = self._stack.enter_context(FileNames.open(directory / f"{entry['sha256']}.names"))
            self._parts.append((entry["suite"], part))

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> Contents:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def named(self, name: str) -> list[Found]:
        """Every file of this name, wherever it lies."""
        return self._found(part.named(name) for _suite, part in self._parts)

    def commands(self, prefix: str) -> list[Found]:
        """Every command (a file in bin, sbin, games) whose name begins like this."""
        return self._found(part.commands(prefix) for _suite, part in self._parts)

    def _found(self, answers: Iterable[Iterable[tuple[str, Sequence[str]]]]) -> list[Found]:
        found: dict[tuple[str, str], Found] = {}
        for (suite, _part), answer in zip(self._parts, answers, strict=True):
            for path, packages in answer:
                for package in packages:
                    found.setdefault((package, path), Found(package, path, suite))
        return list(found.values())


@overload
def contents(
    manifest: Manifest, *, state: Path, refresh: bool = ..., emit: Emit = ...
) -> Contents: ...


@overload
def contents(
    manifest: Manifest, *, state: Path, refresh: bool = ..., fetching: bool, emit: Emit = ...
) -> Contents | None: ...


def contents(
    manifest: Manifest,
    *,
    state: Path,
    refresh: bool = False,
    fetching: bool = True,
    emit: Emit = ignore,
) -> Contents | None:
    """Open the Contents indexes of a manifest's sources; fetch them where there are none.

    `state`: as for archive.solve. Without `fetching` the answer is None where they were never
    fetched. Raises ArchiveError ("no-contents" where the sources have none, and those of
    archive.fetch and archive.index).
    """
    chosen = sources_seen(manifest, state)
    directory = chosen.root / _DIRECTORY
    found = None if refresh else _open(directory)
    if found is not None or not fetching:
        return found
    with locked(directory / "lock", what="the list of files in packages", emit=emit):
        found = None if refresh else _open(directory)
        if found is None:
            _update(chosen, manifest, directory, refresh, emit)
            found = _open(directory)
    if found is None:
        raise ArchiveError(
            "the list of files in packages cannot be read",
            reason="bad-index",
            context=str(directory),
            hint=f"rm -r {directory}",
        )
    return found


def _open(directory: Path) -> Contents | None:
    try:
        state = json.loads((directory / _STATE).read_bytes())
        return Contents(directory, state) if state["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _update(
    chosen: SourceSet, manifest: Manifest, directory: Path, refresh: bool, emit: Emit
) -> None:
    """Fetch and index what is not there yet; then name it, and drop what is named no more.

    What one mirror cannot give does not take away the rest: it is told, and noted as incomplete.
    """
    fresh = refresh or not (chosen.root / STAMP_NAME).exists()
    try:
        files = _listed(chosen, manifest, fresh, emit)
        faults = _make(files, directory, emit)
    except ArchiveError as error:
        if fresh or error.reason != "no-index":
            raise
        files, faults = [], [error]
    if faults and not fresh:
        # the package index is damaged, or so old that its mirror has other files by now
        files = _listed(chosen, manifest, True, emit)
        faults = _make(files, directory, emit)
    there = [file for file in files if _names(directory, file).is_file()]
    if not there:
        raise (
            faults[0]
            if faults
            else ArchiveError(
                "the sources have no Contents index: which package has a file is not known there",
                reason="no-contents",
                hint="dolmen search WORD",
            )
        )
    for fault in faults:
        emit(Notice(f"{fault.message}: answers are incomplete", "warning"))
    state = {
        "format": FORMAT,
        "fetched": wall(),
        "complete": not faults,
        "files": [{"sha256": file["sha256"], "suite": file["suite"]} for file in there],
    }
    write_atomic(directory / _STATE, json.dumps(state))
    named = {_names(directory, file) for file in there}
    for path in directory.glob("*.names"):
        if path not in named:
            path.unlink(missing_ok=True)


def _listed(
    chosen: SourceSet, manifest: Manifest, refresh: bool, emit: Emit
) -> list[Mapping[str, Any]]:
    question = request("contents", chosen, manifest, refresh=refresh)
    files: list[Mapping[str, Any]] = ask(chosen, question, emit)["files"]
    return files


def _names(directory: Path, file: Mapping[str, Any]) -> Path:
    return directory / f"{file['sha256']}.names"


def _make(files: Sequence[Mapping[str, Any]], directory: Path, emit: Emit) -> list[ArchiveError]:
    """Fetch and index what is missing; what went wrong, file by file."""
    missing = [file for file in files if not _names(directory, file).is_file()]
    if not missing:
        return []
    started = monotonic()
    emit(PhaseStarted(Phase.CONTENTS))
    received = [0]
    faults = []
    for file in missing:
        try:
            _bring(file, directory, _as_contents(emit, received), emit)
        except ArchiveError as error:
            faults.append(
                ArchiveError(
                    f"{file['name']} of suite {file['suite']} cannot be had from {file['uri']}",
                    reason=error.reason,
                    context=error.context,
                    details=error.details,
                    hint="try again in some minutes (a mirror in mid-sync), or name another mirror",
                )
            )
    emit(PhaseFinished(Phase.CONTENTS, 0, monotonic() - started, received[0]))
    return faults


def _bring(file: Mapping[str, Any], directory: Path, quiet: Emit, emit: Emit) -> None:
    """Fetch and index one file.

    By its hash first, which survives a mirror in mid-sync; by its name where the mirror has it only
    there, as apt does.
    """
    from dolmen.archive.fetch import fetch
    from dolmen.archive.filenames_writer import write_names

    target = _names(directory, file)
    kind = file["name"].rpartition(".")[2]
    places = list(dict.fromkeys((file["path"], file["plain"])))
    for place in places:
        lock, wanted = _as_lock(file, place)
        try:
            for package, path in fetch(lock, [wanted], cache=directory, emit=quiet):
                write_names(path, target, kind=kind, tell=_teller(emit, package.name))
                path.unlink()
            return
        except ArchiveError as error:
            if place == places[-1] or error.reason != "mirror-gone":
                raise


def _as_lock(file: Mapping[str, Any], place: str) -> tuple[Lock, LockedPackage]:
    """The file as `fetch` wants it: it brings whatever has a path, a size and a SHA-256."""
    release = ReleaseFile(file["uri"], file["suite"], Sha256("0" * 64), file["date"])
    wanted = LockedPackage(
        name=file["name"].partition(".")[0],
        version=file["suite"],
        architecture="all",
        sha256=Sha256(file["sha256"]),
        size=file["size"],
        filename=place,
        release=0,
    )
    return Lock("", ("all",), Sha256("0" * 64), "", (release,), ()), wanted


def _as_contents(emit: Emit, received: list[int]) -> Emit:
    """Fetching is a part of indexing here: one line on the screen, not two."""

    def pass_on(event: Event) -> None:
        if isinstance(event, PhaseProgress):
            emit(replace(event, phase=Phase.CONTENTS))
        elif isinstance(event, PhaseFinished):
            received[0] += event.size
        elif not isinstance(event, PhaseStarted):
            emit(event)

    return pass_on


def _teller(emit: Emit, name: str) -> Any:
    def tell(done: int, total: int) -> None:
        emit(PhaseProgress(Phase.CONTENTS, 0, 0, done, total, name))

    return tell
