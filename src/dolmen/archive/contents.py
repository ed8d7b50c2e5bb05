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
from typing import Any

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


def contents(
    manifest: Manifest,
    *,
    state: Path,
    refresh: bool = False,
    fetching: bool = True,
    emit: Emit = ignore,
) -> Contents | None:
    """Open the Contents indexes of a manifest's sources; fetch them where there are none.

    `state`: as for archive.solve. With `fetching` False the answer is None where they were never
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
    """Fetch and index what is not there yet; then name it, and drop what is named no more."""
    known = (chosen.root / STAMP_NAME).exists()
    question = request("contents", chosen, manifest, refresh=refresh or not known)
    try:
        files = ask(chosen, question, emit)["files"]
        _make(files, directory, emit)
    except ArchiveError as error:
        # the index is damaged, or so old that its mirror has other files by now
        if question["refresh"] or error.reason not in ("no-index", "mirror-gone", "hash-mismatch"):
            raise
        files = ask(chosen, {**question, "refresh": True}, emit)["files"]
        _make(files, directory, emit)
    if not files:
        raise ArchiveError(
            "the sources have no Contents index: which package has a file is not known there",
            reason="no-contents",
            hint="dolmen search WORD",
        )
    state = {
        "format": FORMAT,
        "fetched": wall(),
        "files": [{"sha256": file["sha256"], "suite": file["suite"]} for file in files],
    }
    write_atomic(directory / _STATE, json.dumps(state))
    named = {f"{file['sha256']}.names" for file in files}
    for path in directory.glob("*.names"):
        if path.name not in named:
            path.unlink(missing_ok=True)


def _make(files: Sequence[Mapping[str, Any]], directory: Path, emit: Emit) -> None:
    from dolmen.archive.fetch import fetch
    from dolmen.archive.filenames_writer import write_names

    missing = [f for f in files if not (directory / f"{f['sha256']}.names").is_file()]
    if not missing:
        return
    started = monotonic()
    emit(PhaseStarted(Phase.INDEX))
    received = [0]
    lock, wanted = _as_lock(missing)
    suffixes = {f["sha256"]: f["name"].rpartition(".")[2] for f in missing}
    for package, path in fetch(lock, wanted, cache=directory, emit=_as_index(emit, received)):
        write_names(
            path,
            directory / f"{package.sha256}.names",
            kind=suffixes[package.sha256],
            tell=_teller(emit, package.name),
        )
        path.unlink()
    emit(PhaseFinished(Phase.INDEX, 0, monotonic() - started, received[0]))


def _as_lock(files: Sequence[Mapping[str, Any]]) -> tuple[Lock, list[LockedPackage]]:
    """The files as `fetch` wants them: it brings whatever has a path, a size and a SHA-256."""
    releases: dict[tuple[str, str], ReleaseFile] = {}
    for file in files:
        release = ReleaseFile(file["uri"], file["suite"], Sha256("0" * 64), file["date"])
        releases.setdefault((file["uri"], file["suite"]), release)
    order = list(releases)
    wanted = [
        LockedPackage(
            name=file["name"].partition(".")[0],
            version=file["suite"],
            architecture="all",
            sha256=Sha256(file["sha256"]),
            size=file["size"],
            filename=file["path"],
            release=order.index((file["uri"], file["suite"])),
        )
        for file in files
        if file["size"]
    ]
    return Lock("", ("all",), Sha256("0" * 64), "", tuple(releases.values()), ()), wanted


def _as_index(emit: Emit, received: list[int]) -> Emit:
    """Fetching is a part of indexing here: one line on the screen, not two."""

    def pass_on(event: Event) -> None:
        if isinstance(event, PhaseProgress):
            emit(replace(event, phase=Phase.INDEX))
        elif isinstance(event, PhaseFinished):
            received[0] += event.size
        elif not isinstance(event, PhaseStarted):
            emit(event)

    return pass_on


def _teller(emit: Emit, name: str) -> Any:
    def tell(done: int, total: int) -> None:
        emit(PhaseProgress(Phase.INDEX, 0, 0, done, total, name))

    return tell
