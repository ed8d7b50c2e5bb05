"""Durable, atomic changes of small files: the old content or the new, never a mix.

rename(2) alone is not enough: without fsync of the file before it, ext4 (noauto_da_alloc) and XFS
leave an empty file after a power cut; without fsync of the directory after it, the change itself
may be lost although the command reported success.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from dolmen.support.clock import wall

#: Names of what a killed `write_atomic` or `symlink_atomic` leaves beside the file it was for.
HALF_WRITTEN = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o644, age: float = 0.0) -> None:
    """Replace `path` by a file with this content; durable when it returns.

    `age`: seconds by which its time stamp shall lie in the past already (0: the file system's
    own). Raises OSError; the old file is untouched then.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = _beside(path)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if age:
                stamp = int((wall() - age) * 1e9)
                os.utime(stream.fileno(), ns=(stamp, stamp))
            os.fsync(stream.fileno())
        temporary.rename(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def symlink_atomic(path: Path, target: str) -> None:
    """Point the symbolic link `path` at `target`, replacing what was there; durable."""
    temporary = _beside(path)
    os.symlink(target, temporary)
    try:
        temporary.rename(path)
    except BaseException:
        temporary.unlink()
        raise
    sync_directory(path.parent)


def remove_tree(path: Path) -> None:
    """Delete a tree, also where directories in it were left without write permission."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    import shutil  # with its compressors it costs more than most commands need in all

    try:
        shutil.rmtree(path)
    except PermissionError:
        _unlock(path)
        shutil.rmtree(path)


def _unlock(path: Path) -> None:
    """Give the owner back the right to empty every directory of a tree."""
    waiting = [os.fspath(path)]
    while waiting:
        directory = waiting.pop()
        os.chmod(directory, 0o700)
        with os.scandir(directory) as entries:
            waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}")
