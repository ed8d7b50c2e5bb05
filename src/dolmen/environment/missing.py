"""Commands that an environment does not have, and the packages that would bring them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dolmen.environment.backend import Backend
from dolmen.model import Manifest
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, ignore

_PLACES = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "usr/games", "usr/local/games")


def has_command(tree: Path, command: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a command will be found inside; the sh front asks the same (`_dolmen_has`).

    In the image, or in the directories of PATH below the home directory, which it shares with the
    host. Links count: an absolute one (an alternative) leads nowhere from outside.
    """
    if "/" in command:
        return True
    environ = os.environ if environ is None else environ
    for place in _PLACES:
        path = tree / place / command
        if path.is_symlink() or os.access(path, os.X_OK):
            return True
    home = environ.get("HOME") or "/nonexistent"
    return any(
        os.access(os.path.join(directory, command), os.X_OK)
        for directory in environ.get("PATH", "").split(":")
        if directory.startswith(f"{home}/") and "/.dolmen/" not in directory
    )


def packages_with(
    command: str,
    manifest: Manifest,
    *,
    backend: Backend,
    fetching: bool = False,
    emit: Emit = ignore,
) -> tuple[str, ...]:
    """The packages that bring a command, the one to take first; empty where nobody knows.

    One is alone when the choice is clear: only it has the command, it is named like it, or it is
    what Debian's alternatives prefer. With `fetching` the archive's list of files is brought where
    there is none yet; raises ArchiveError then. Without, what is on this machine is asked.
    """
    from dolmen.archive import alternatives, contents

    state = backend.store_path / "archive"
    preferred = alternatives(command)
    try:
        opened = contents(manifest, state=state, fetching=fetching, emit=emit)
    except ArchiveError:
        if fetching:
            raise
        opened = None
    if opened is None:
        return preferred[:1]
    with opened:
        found = sorted(
            {f.package for f in opened.commands(command) if os.path.basename(f.path) == command}
        )
    if command in found:
        return (command,)
    if len(found) == 1 or not preferred:
        return tuple(found)
    return preferred[:1]
