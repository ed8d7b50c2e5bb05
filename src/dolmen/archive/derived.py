"""Big indexes that are fetched on first need only, and kept in a form of our own.

Contents and Translation indexes hash to what the verified Release files say, like Packages; but
most commands never need them, and they are big. Each becomes one file below the source set's
directory, under the digest of what it was made from; `state.json` beside them is written last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dolmen.archive.asking import ask, request
from dolmen.archive.catalogue import STAMP_NAME
from dolmen.archive.configuration import SourceSet
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
)
from dolmen.support.files import write_atomic

FORMAT = 1
_STATE = "state.json"

Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of index: the worker's `task` and its directory, the `suffix` of what is made of it.

    `write(source, target, compression, tell)` makes it; raises ArchiveError ("bad-index").
    `insistent`: the package index is renewed where its mirror has other files by now.
    """

    task: str
    suffix: str
    phase: Phase
    write: Callable[[Path, Path, str, Tell], None]
    insistent: bool = True


def read_state(directory: Path) -> Mapping[str, Any] | None:
    """What was fetched, None where nothing was; raises OSError and ValueError."""
    state: Mapping[str, Any] = json.loads((directory / _STATE).read_bytes())
    return state if state["format"] == FORMAT else None


def update(kind: Kind, chosen: SourceSet, manifest: Manifest, *, refresh: bool, emit: Emit) -> None:
    """Fetch and index what is not there yet; then name it, and drop what is named no more.

    What one mirror cannot give does not take away the rest: it is told, and noted as incomplete.
    Raises ArchiveError ("no-contents" where the sources have no such index).
    """
    directory = chosen.root / kind.task
    fresh = refresh or not (chosen.root / STAMP_NAME).exists()
    try:
        files = _listed(kind, chosen, manifest, fresh, emit)
        faults = _make(kind, files, directory, emit)
    except ArchiveError as error:
        if fresh or error.reason != "no-index":
            raise
        files, faults = [], [error]
    if faults and not fresh and kind.insistent:
        # the package index is damaged, or so old that its mirror has other files by now
        files = _listed(kind, chosen, manifest, True, emit)
        faults = _make(kind, files, directory, emit)
    there = [file for file in files if _target(kind, directory, file).is_file()]
    if not there:
        raise (
            faults[0]
            if faults
            else ArchiveError(
                f"the sources have no {kind.task} index",
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
    named = {_target(kind, directory, file) for file in there}
    for path in directory.glob(f"*{kind.suffix}"):
        if path not in named:
            path.unlink(missing_ok=True)


def _listed(
    kind: Kind, chosen: SourceSet, manifest: Manifest, refresh: bool, emit: Emit
) -> list[Mapping[str, Any]]:
    question = request(kind.task, chosen, manifest, refresh=refresh)
    files: list[Mapping[str, Any]] = ask(chosen, question, emit)["files"]
    return files


def _target(kind: Kind, directory: Path, file: Mapping[str, Any]) -> Path:
    return directory / f"{file['sha256']}{kind.suffix}"


def _make(
    kind: Kind, files: Sequence[Mapping[str, Any]], directory: Path, emit: Emit
) -> list[ArchiveError]:
    """Fetch and index what is missing; what went wrong, file by file."""
    missing = [file for file in files if not _target(kind, directory, file).is_file()]
    if not missing:
        return []
    started = monotonic()
    emit(PhaseStarted(kind.phase))
    received = [0]
    faults = []
    for file in missing:
        try:
            _bring(kind, file, directory, _one_phase(kind, emit, received), emit)
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
            if error.reason == "fetch-failed" and not kind.insistent:
                # there is no network, and what can be done without is not waited for
                break
    emit(PhaseFinished(kind.phase, 0, monotonic() - started, received[0]))
    return faults


def _bring(kind: Kind, file: Mapping[str, Any], directory: Path, quiet: Emit, emit: Emit) -> None:
    """Fetch and index one file.

    By its hash first, which survives a mirror in mid-sync; by its name where the mirror has it only
    there, as apt does.
    """
    from dolmen.archive.fetch import fetch

    target = _target(kind, directory, file)
    compression = file["name"].rpartition(".")[2]
    places = list(dict.fromkeys((file["path"], file["plain"])))
    for place in places:
        lock, wanted = _as_lock(file, place)
        try:
            for package, path in fetch(lock, [wanted], cache=directory, emit=quiet):
                kind.write(path, target, compression, _teller(kind, emit, package.name))
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


def _one_phase(kind: Kind, emit: Emit, received: list[int]) -> Emit:
    """Fetching is a part of indexing here: one line on the screen, not two."""

    def pass_on(event: Event) -> None:
        if isinstance(event, PhaseProgress):
            emit(replace(event, phase=kind.phase))
        elif isinstance(event, PhaseFinished):
            received[0] += event.size
        elif not isinstance(event, PhaseStarted):
            emit(event)

    return pass_on


def _teller(kind: Kind, emit: Emit, name: str) -> Tell:
    def tell(done: int, total: int) -> None:
        emit(PhaseProgress(kind.phase, 0, 0, done, total, name))

    return tell
