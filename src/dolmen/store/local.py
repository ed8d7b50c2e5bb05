"""A .deb that lies in the file system, looked at without importing it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from dolmen.model.digest import Sha256
from dolmen.model.package import LocalDeb
from dolmen.store.control import LIMIT, read_control
from dolmen.store.deb import Container
from dolmen.store.tar import TarReader
from dolmen.support.errors import PackageError

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
