"""A large file that takes another's place when it is whole, and leaves nothing when it is not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dolmen.support.errors import HostError
from dolmen.support.files import sync_directory

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
#: What file systems say that know no files without a name.
_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


@contextmanager
def replacing(target: Path) -> Iterator[int]:
    """A new file's descriptor; left without an error, the file is synced and called `target`.

    Until then it has no name, where the file system knows that (open(2), O_TMPFILE): not even a
    kill leaves anything. Raises HostError ("disk-full", "disk-unwritable").
    """
    beside = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    try:
        fd, named = _open(beside)
        try:
            try:
                yield fd
                os.fsync(fd)
                if not named:
                    _name(fd, beside)
            finally:
                os.close(fd)
            beside.rename(target)
        except BaseException:
            with suppress(FileNotFoundError):
                beside.unlink()
            raise
        sync_directory(target.parent)
    except OSError as error:
        raise unwritable(target, error) from None


def check_place(target: Path) -> None:
    """Raise HostError ("disk-unwritable") where no such file could be made."""
    try:
        fd, named = _open(beside := target.with_name(f".{target.name}.{os.urandom(6).hex()}"))
    except OSError as error:
        raise unwritable(target, error) from None
    os.close(fd)
    if named:
        beside.unlink()


def unwritable(target: Path, error: OSError) -> HostError:
    """What a failed write means."""
    return HostError(
        f"writing {target} failed: {error.strerror}",
        reason="disk-full" if error.errno in _FULL else "disk-unwritable",
        hint=f"df -h {target.parent}",
    )


def _name(fd: int, beside: Path) -> None:
    """Give a nameless file a name: linkat(2) follows the link of /proc only when it is told to,
    and Python tells it only when it is given a directory."""
    directory = os.open(beside.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(f"/proc/self/fd/{fd}", beside.name, dst_dir_fd=directory)
    finally:
        os.close(directory)


def _open(beside: Path) -> tuple[int, bool]:
    """A new file, and whether it has the name already."""
    try:
        return os.open(beside.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666), False
    except OSError as error:
        if error.errno not in _NAMELESS:
            raise
    return os.open(beside, _NEW, 0o666), True
