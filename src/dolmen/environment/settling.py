"""The user's two files and the live generation: written only where they differ, taken back whole.

Apart from `committing`, because switching needs nothing else and has to be over in a blink.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.generations import Record
from dolmen.environment.layout import Environment
from dolmen.support.files import write_atomic


@contextlib.contextmanager
def taken_back(environment: Environment, *, unless_live: int | None = None) -> Iterator[None]:
    """Give manifest and lock back their old texts when the body fails before its end.

    Once the generation `unless_live` is the live one there is no way back, only forward.
    """
    before = {
        path: path.read_bytes() if path.exists() else None
        for path in (environment.manifest, environment.lock)
    }
    try:
        yield
    except BaseException:
        if unless_live is not None and generations.current_number(environment) == unless_live:
            raise
        for path, content in before.items():
            with contextlib.suppress(OSError):
                if content is None:
                    path.unlink(missing_ok=True)
                elif path.read_bytes() != content:
                    write_atomic(path, content, mode=_mode(path))
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a file of the user's: only if it differs, with its mode, through symbolic links."""
    path = path.resolve()
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode():
            return
    write_atomic(path, text, mode=_mode(path), age=generations.SETTLED)


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0o644


def is_whole(environment: Environment, live: Record) -> bool:
    """Whether a generation can be entered: its tree and its launcher are there."""
    directory = generations.directory_of(environment, live.generation.number)
    return live.tree.is_dir() and (directory / generations.LAUNCH).is_file()
