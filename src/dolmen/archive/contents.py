"""Which package of the archive has a file: Contents indexes, made searchable.

They are fetched on first need, checked against the hashes of the verified Release files like
everything else, and turned into files that answer in milliseconds (archive.filenames). They stay
until somebody asks for newer ones: they are big, and what package a command is in rarely changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from dolmen.archive.asking import sources_seen
from dolmen.archive.derived import Kind, Tell, read_state, update
from dolmen.archive.filenames import FileNames
from dolmen.model import Manifest
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, Phase, ignore
from dolmen.support.locking import locked


def _write(source: Path, target: Path, compression: str, tell: Tell) -> None:
    # it needs threads and every compressor there is
    from dolmen.archive.filenames_writer import write_names

    write_names(source, target, kind=compression, tell=tell)


KIND = Kind("contents", ".names", Phase.CONTENTS, _write)


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
    directory = chosen.root / KIND.task
    found = None if refresh else _open(directory)
    if found is not None or not fetching:
        return found
    with locked(directory / "lock", what="the list of files in packages", emit=emit):
        found = None if refresh else _open(directory)
        if found is None:
            update(KIND, chosen, manifest, refresh=refresh, emit=emit)
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
        state = read_state(directory)
        return Contents(directory, state) if state is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
