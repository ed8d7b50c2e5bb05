"""Working directories in the store's quarantine that do not outlive their process.

Each is held by a flock on itself; whoever makes the next one clears away those that nobody holds
(a kill or a power cut left them). Nothing in the quarantine is ever trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from dolmen.support.files import remove_tree

_PREFIX = "work-"


@contextlib.contextmanager
def scratch(tmp: Path) -> Iterator[Path]:
    """A fresh directory below `tmp`, on the store's file system, removed at the end."""
    directory, fd = make_scratch(tmp)
    try:
        yield directory
    finally:
        drop_scratch(directory, fd)


def make_scratch(tmp: Path) -> tuple[Path, int]:
    """The same without a context; returns the directory and the descriptor that holds it."""
    clear_stale(tmp)
    directory = tmp / f"{_PREFIX}{secrets.token_hex(8)}"
    with settled(tmp, shared=True):
        directory.mkdir(mode=0o700)
        fd = -1
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            directory.rmdir()
            raise
    return directory, fd


@contextlib.contextmanager
def settled(tmp: Path, *, shared: bool = False) -> Iterator[None]:
    """Nobody is between making a directory and holding it: what is not held is nobody's.

    `shared`: for those who make one.
    """
    fd = os.open(tmp, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def drop_scratch(directory: Path, fd: int) -> None:
    """Remove the directory and let it go."""
    try:
        remove_tree(directory)
    finally:
        os.close(fd)


def clear_stale(tmp: Path) -> None:
    """Remove the working directories whose makers are gone."""
    for entry in tmp.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            fd = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                with settled(tmp):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(entry)
            finally:
                os.close(fd)
