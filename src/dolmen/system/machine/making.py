"""Building a system image on the machine itself, and bringing it into the sysroot's repository."""

from __future__ import annotations

from pathlib import Path

from dolmen.model import parse_lock, parse_manifest
from dolmen.store import Store
from dolmen.store.history.pulling import pull_local
from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, ignore


def make_here(sysroot: Sysroot, path: Path, *, store: Path | None, emit: Emit = ignore) -> str:
    """Build what a directory's manifest and lock say (or a lock, and the manifest beside it).

    Returns the commit in the sysroot's repository. Raises DeclarationError ("no-lock",
    "no-environment"), and what building raises.
    """
    from dolmen.system import building  # type: ignore[attr-defined]

    lock_file = path if path.is_file() else path / "dolmen.lock"
    manifest_file = lock_file.parent / "dolmen.toml"
    for file, reason in ((manifest_file, "no-environment"), (lock_file, "no-lock")):
        if not file.is_file():
            raise DeclarationError(
                f"there is no {file.name} in {file.parent}",
                reason=reason,
                context=str(file),
                hint=f"dolmen -C {file.parent} {'init' if file is manifest_file else 'lock'}",
            )
    lock = parse_lock(lock_file.read_text(encoding="utf-8", errors="replace"))
    manifest = parse_manifest(manifest_file.read_text(encoding="utf-8", errors="replace"))
    opened = Store.open(store)
    image = building.build(lock, manifest, manifest_file.parent, opened, emit=emit)
    bring(sysroot, opened, str(image.commit))
    return str(image.commit)


def bring(sysroot: Sysroot, store: Store, commit: str) -> None:
    """Copy a commit of the store into the sysroot's repository; each object is checked."""
    pull_local(sysroot.repository, store.path / "repo", [commit], untrusted=True)
