"""Commands that an environment does not have, and the packages that would bring them."""

from __future__ import annotations

from pathlib import Path

from dolmen.environment.backend import Backend
from dolmen.model import Manifest
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, ignore


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
