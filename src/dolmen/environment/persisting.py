"""Directories of the image that an environment keeps writable: `persist` in the manifest.

They lie in `.dolmen/persist`, below the path that they have inside, and are the environment's, not
a generation's: what a database wrote stays through install, switch and rollback. The first time
they are copied from the image.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from dolmen.environment.layout import Environment
from dolmen.support.errors import DeclarationError
from dolmen.support.files import remove_tree, sync_directory

PERSIST = "persist"
#: Where the launcher can make a directory that the image does not have.
_SCRATCH = ("/var/lib", "/var/cache", "/var/log", "/var/spool", "/srv", "/opt")


def place(environment: Environment, inside: str) -> Path:
    """Where a kept directory lies."""
    return environment.state / PERSIST / inside.lstrip("/")


def seed(environment: Environment, tree: Path, paths: Iterable[str]) -> None:
    """Copy what is not there yet from the image; with the environment's lock held.

    Raises DeclarationError ("bad-persist") where the image has something else than a directory.
    """
    for inside in paths:
        target = place(environment, inside)
        if target.is_dir() and not target.is_symlink():
            continue
        source = _source(tree, inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = environment.state / f".new.persist.{os.getpid()}"
        remove_tree(fresh)
        try:
            if source is None:
                fresh.mkdir()
            else:
                _copy(source, fresh)
            fresh.rename(target)
        except BaseException:
            remove_tree(fresh)
            raise
        sync_directory(target.parent)


def _source(tree: Path, inside: str) -> Path | None:
    """The directory in the image; None where it may be made anew."""
    path = tree
    for part in inside.strip("/").split("/"):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            if os.path.dirname(inside) in _SCRATCH:
                return None
            raise DeclarationError(
                f"persist: this image has no {inside}",
                reason="bad-persist",
                context=inside,
                hint="install the package that brings it, or name a directory right below "
                + ", ".join(_SCRATCH),
            ) from None
        if not stat.S_ISDIR(mode):
            what = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
            raise DeclarationError(
                f"persist: {inside} leads through {what} of the image",
                reason="bad-persist",
                context=f"/{path.relative_to(tree)}",
                hint="name a directory by its own path",
            )
    return path


def _copy(source: Path, target: Path) -> None:
    """A copy of its own of every file: the image's are shared. Sockets and the like stay out."""
    import shutil

    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            there = target / entry.name
            if entry.is_symlink():
                there.symlink_to(os.readlink(entry.path))
            elif entry.is_dir():
                _copy(Path(entry.path), there)
            elif entry.is_file():
                shutil.copyfile(entry.path, there)
                there.chmod(stat.S_IMODE(entry.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR)
    target.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IRWXU)
