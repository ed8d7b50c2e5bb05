"""Building a system image on the machine itself, and bringing it into the sysroot's repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dolmen import archive
from dolmen.model import Lock, Manifest, parse_lock, parse_manifest, render_lock
from dolmen.model.lock import FILE_NAME
from dolmen.store import Store
from dolmen.store.history.pulling import pull_local
from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, ignore
from dolmen.support.files import write_atomic
from dolmen.system.keeping import KEPT_BY_MACHINE, remember
from dolmen.system.machine.reusing import take_packages
from dolmen.system.machine.roles import next_started

if TYPE_CHECKING:
    from dolmen.system.building import SystemImage

#: In the store: what was built for a machine, newest last (`keeping.py`).
NOTES = "machine"


def make_here(sysroot: Sysroot, path: Path, *, store: Path | None, emit: Emit = ignore) -> str:
    """Build what a directory's manifest and lock say (or a lock, and the manifest beside it).

    Returns the commit in the sysroot's repository. Raises DeclarationError ("no-lock",
    "no-environment"), and what building raises.
    """
    lock_file = path if path.is_file() else path / "dolmen.lock"
    if not lock_file.is_file():
        raise DeclarationError(
            f"there is no {lock_file.name} in {lock_file.parent}",
            reason="no-lock",
            context=str(lock_file),
            hint=f"dolmen -C {lock_file.parent} lock",
        )
    lock = _lock(lock_file)
    commit, after = _make(sysroot, lock_file.parent, lock, store, emit)
    if after != lock and lock_file.name == FILE_NAME:
        write_atomic(lock_file, render_lock(after))
    return commit


def make_newest(
    sysroot: Sysroot, directory: Path, *, store: Path | None, emit: Emit = ignore
) -> str:
    """Solve a directory's manifest anew, build, and write the new lock when that has worked.

    The numbers of users stay as the old lock has them.
    """
    opened = Store.open(store)
    lock = archive.solve(_manifest(directory), state=opened.archive, refresh=True, emit=emit)
    file = directory / FILE_NAME
    if file.is_file():
        before = _lock(file)
        lock = replace(lock, users=before.users, groups=before.groups)
    commit, after = _make(sysroot, directory, lock, store, emit)
    write_atomic(file, render_lock(after))
    return commit


def _lock(file: Path) -> Lock:
    return parse_lock(file.read_text(encoding="utf-8", errors="replace"))


def _manifest(directory: Path) -> Manifest:
    file = directory / "dolmen.toml"
    if not file.is_file():
        raise DeclarationError(
            f"there is no {file.name} in {directory}",
            reason="no-environment",
            context=str(file),
            hint=f"dolmen -C {directory} init",
        )
    return parse_manifest(file.read_text(encoding="utf-8", errors="replace"))


def _make(
    sysroot: Sysroot, directory: Path, lock: Lock, store: Path | None, emit: Emit
) -> tuple[str, Lock]:
    from dolmen.system import building

    opened = Store.open(store)
    current = next_started(sysroot)
    if current is not None:
        take_packages(sysroot, current.commit, lock, opened, emit=emit)
    image = building.build(lock, _manifest(directory), directory, opened, emit=emit)
    bring(sysroot, opened, image)
    return str(image.commit), image.lock


def bring(sysroot: Sysroot, store: Store, image: SystemImage) -> None:
    """Copy an image of the store into the sysroot's repository; each object is checked.

    The store keeps the newest few only, for what is asked for and taken back soon.
    """
    pull_local(sysroot.repository, store.path / "repo", [image.commit], untrusted=True)
    remember(store.path / NOTES, image.key, store, number=KEPT_BY_MACHINE)
