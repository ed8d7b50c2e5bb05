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


def is_extra(launcher: Path, name: str, kind: str) -> bool:
    """Whether a generation has a script or an alias (`kind`: its directory) of that name."""
    return "/" not in name and name not in (".", "..") and (launcher.parent / kind / name).is_file()


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
    from dolmen.archive import alternatives
    from dolmen.environment.inspect.owners import providers, unambiguous
    from dolmen.environment.inspect.view import View

    seen = View(manifest, backend.store_path / "archive")
    try:
        found = providers(seen, command, fetching=fetching, emit=emit)
    except ArchiveError:
        if fetching:
            raise
        found = ()
    clear = unambiguous(command, found)
    if clear is not None:
        return (clear,)
    preferred = alternatives(command)
    if not found or found[0].package in preferred:
        return (found[0].package,) if found else preferred[:1]
    return tuple(dict.fromkeys(owner.package for owner in found))
