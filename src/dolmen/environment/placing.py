"""What a manifest names beside itself: keys and .debs, found from the directory it lies in.

A path of a manifest never leaves its directory (model.manifest), and of a .deb only the very bytes
whose SHA-256 the manifest has are ever used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dolmen.environment.backend import Backend, Realised
from dolmen.environment.layout import Environment
from dolmen.model import Lock, LockedPackage, Manifest
from dolmen.model.manifest import FILE_NAME, PATH, Deb
from dolmen.model.package import LocalDeb
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, ignore


def placed(manifest: Manifest, directory: Path, ages: Mapping[str, str] | None = None) -> Manifest:
    """The manifest with absolute paths of keys, and ages that stay what they came to."""
    sources = tuple(
        replace(source, signed_by=str(directory / source.signed_by))
        if source.signed_by and PATH.fullmatch(source.signed_by)
        else source
        for source in manifest.sources
    )
    return replace(manifest, sources=sources, ages=tuple((ages or {}).items()))


def solve(
    environment: Environment,
    manifest: Manifest,
    *,
    backend: Backend,
    pins: Sequence[LockedPackage] = (),
    refresh: bool | None = None,
    ages: Mapping[str, str] | None = None,
    emit: Emit = ignore,
) -> Lock:
    """Solve with what lies beside the manifest; raises DeclarationError ("deb-changed", …)."""
    local = tuple(
        checked(environment.directory, deb.path, deb.sha256, size=None) for deb in manifest.debs
    )
    there = placed(manifest, environment.directory, ages)
    lock = backend.solve(there, pins=pins, refresh=refresh, local=local, emit=emit)
    # paths of this machine are no part of what the lock answers
    return replace(lock, inputs=manifest.inputs())


def build(
    environment: Environment, lock: Lock, *, backend: Backend, emit: Emit = ignore
) -> Realised:
    """Build an image; .debs beside the manifest are brought first.

    Raises DeclarationError ("deb-changed", "deb-missing").
    """
    backend.provide(environment.directory, [p for p in lock.packages if p.is_local])
    return backend.build(lock, emit=emit)


def checked(directory: Path, path: str, sha256: str, *, size: int | None) -> LocalDeb:
    """A .deb beside the manifest, if it still is what it was."""
    from dolmen.store.local import changed, missing, read_deb

    try:
        deb = read_deb(directory / path, path)
    except OSError as error:
        raise missing(path, error) from None
    if deb.sha256 != sha256 or size not in (None, deb.size):
        raise changed(path)
    return deb


def bring(directory: Path, package: LockedPackage, cache: Path) -> None:
    """Copy a .deb into the cache under its digest, if it is what the lock says."""
    from dolmen.store import local

    local.bring(directory, package, cache)


def relative(environment: Environment, path: Path) -> str:
    """How the manifest names a .deb that was typed; raises DeclarationError ("deb-outside")."""
    there = os.path.abspath(path)
    home = os.path.abspath(environment.directory)
    with suppress(OSError):
        home = os.path.realpath(home)
        there = os.path.join(os.path.realpath(os.path.dirname(there)), os.path.basename(there))
    found = os.path.relpath(there, home)
    if not PATH.fullmatch(found):
        raise DeclarationError(
            f"{path} does not lie below the directory of {FILE_NAME}, or its name is unusual",
            reason="deb-outside",
            context=str(environment.directory),
            hint=f"cp {path} . && dolmen install ./{path.name}",
        )
    return found


def is_path(text: str) -> bool:
    """Whether an argument means a .deb, as apt decides it."""
    return text.startswith(("./", "../", "/")) and text.endswith(".deb")


def local_debs(environment: Environment, paths: Sequence[str]) -> tuple[Deb, ...]:
    """.debs that were typed, as the manifest will have them.

    Raises DeclarationError ("deb-outside", "deb-missing") and PackageError (see store.local).
    """
    if not paths:
        return ()
    from dolmen.store.local import read_deb

    found: list[Deb] = []
    for path in map(Path, paths):
        name = relative(environment, path)
        try:
            found.append(Deb(name, read_deb(path, str(path)).sha256))
        except OSError as error:
            raise DeclarationError(
                f"cannot read {path}: {error.strerror}",
                reason="deb-missing",
                context=str(path),
                hint="ls *.deb",
            ) from None
    return tuple(found)
