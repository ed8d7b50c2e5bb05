"""Long descriptions of the archive's packages: Translation indexes, fetched on first need.

Packages indexes have the synopsis only (Acquire::Languages "none": six megabytes that solving does
not need). Kept as plain text: a name is found in it by one search.
"""

from __future__ import annotations

from pathlib import Path

from dolmen.archive.asking import sources_seen
from dolmen.archive.derived import Kind, Tell, read_state, update
from dolmen.model import Manifest
from dolmen.support.clock import wall
from dolmen.support.events import Emit, Phase, ignore
from dolmen.support.locking import locked

_MAX_SIZE = 512 << 20
#: After a failure nobody waits for another one, for so many seconds: a synopsis does without.
_PATIENCE = 600
_FAILED = "failed"


def _write(source: Path, target: Path, compression: str, tell: Tell) -> None:
    from dolmen.archive.filenames_writer import decompressed
    from dolmen.support.files import write_atomic

    size = 0
    parts = [b"\n"]
    for text in decompressed(source, compression, tell):
        size += len(text)
        if size > _MAX_SIZE:
            break
        parts += [text, b"\n"]
    write_atomic(target, b"".join(parts))


KIND = Kind("descriptions", ".text", Phase.DESCRIPTIONS, _write, insistent=False)


def description(
    manifest: Manifest,
    name: str,
    md5: str,
    *,
    state: Path,
    refresh: bool = False,
    emit: Emit = ignore,
) -> str:
    """The description of a package, synopsis first, as a control file has it; empty where unknown.

    `md5`: the Description-md5 of its index stanza, which names the version's own text.
    Raises ArchiveError (see archive.derived).
    """
    chosen = sources_seen(manifest, state)
    directory = chosen.root / KIND.task
    files = None if refresh else _files(directory)
    if files is None:
        with locked(directory / "lock", what="the descriptions of packages", emit=emit):
            files = None if refresh else _files(directory)
            if files is None:
                if not refresh and _failed_lately(directory):
                    return ""
                (directory / _FAILED).touch()
                update(KIND, chosen, manifest, refresh=refresh, emit=emit)
                (directory / _FAILED).unlink()
                files = _files(directory)
    needle = f"\nPackage: {name}\nDescription-md5: {md5}\n".encode()
    for path in files or ():
        data = path.read_bytes()
        at = data.find(needle)
        if at >= 0:
            stanza = data[at + len(needle) : data.find(b"\n\n", at + 1)]
            return stanza.partition(b": ")[2].decode(errors="replace")
    return ""


def _failed_lately(directory: Path) -> bool:
    try:
        return 0 <= wall() - (directory / _FAILED).stat().st_mtime < _PATIENCE
    except FileNotFoundError:
        return False


def _files(directory: Path) -> list[Path] | None:
    try:
        state = read_state(directory)
        paths = [directory / f"{file['sha256']}{KIND.suffix}" for file in (state or {})["files"]]
        return paths if all(path.is_file() for path in paths) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
