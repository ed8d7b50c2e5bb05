"""A .deb that lies in the file system: looked at without importing it, or brought to the cache."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from dolmen.model.digest import Sha256
from dolmen.model.manifest import FILE_NAME
from dolmen.model.package import LocalDeb, LockedPackage
from dolmen.store.control import LIMIT, read_control
from dolmen.store.deb import Container
from dolmen.store.tar import TarReader
from dolmen.support.errors import DeclarationError, PackageError

_CHUNK = 1 << 20


def read_deb(path: Path, shown: str) -> LocalDeb:
    """Name, digest and control file of a .deb; `shown` is what a manifest calls it.

    Raises OSError, and PackageError where it is no .deb ("bad-package", "bad-archive",
    "bad-control", "truncated", "too-large", "unknown-compression").
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise PackageError(f"{shown} is not a file", reason="bad-package", context=str(path))
        digest = hashlib.sha256()
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
        stream.seek(0)
        try:
            for name, pieces in Container(stream).tarballs():
                if name == "control":
                    control = read_control(TarReader(pieces, limit=2 * LIMIT))
                    break
        except PackageError as error:
            error.message = f"{shown} is not a Debian package: {error.message}"
            error.context = str(path)
            raise
    return LocalDeb(shown, Sha256(digest.hexdigest()), status.st_size, control.text)


def bring(directory: Path, package: LockedPackage, cache: Path) -> None:
    """Copy a .deb into the cache under its digest, if it is what the lock says."""
    target = cache / f"{package.sha256}.deb"
    fresh = cache / f".{package.sha256}.{os.getpid()}"
    digest = hashlib.sha256()
    try:
        try:
            source = (directory / package.filename).open("rb")
        except OSError as error:
            if target.exists():
                return
            raise missing(package.filename, error) from None
        with source, fresh.open("wb") as stream:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                stream.write(chunk)
        if digest.hexdigest() != package.sha256:
            raise changed(package.filename)
        fresh.rename(target)
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


def changed(path: str) -> DeclarationError:
    """Somebody replaced a .deb, by mistake or not."""
    return DeclarationError(
        f"{path} is not the file that it was when it was added",
        reason="deb-changed",
        context=f"its SHA-256 is not the one in {FILE_NAME}",
        hint=f"if that was meant: dolmen install ./{path}",
    )


def missing(path: str, error: OSError) -> DeclarationError:
    """There is no such .deb."""
    return DeclarationError(
        f"cannot read {path}: {error.strerror}",
        reason="deb-missing",
        context=f"[[debs]] of {FILE_NAME}",
        hint="bring the file back, or take its [[debs]] out of dolmen.toml",
    )
