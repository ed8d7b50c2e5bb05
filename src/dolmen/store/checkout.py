"""Trees as directories of hard links to the store's objects.

What `ostree checkout --user-mode --require-hardlinks` makes, with three differences: every time
stamp is 0 (libostree gives empty files and symbolic links, which it makes anew, the time of day:
stale .pyc files and man-db indexes), no introspection has to be loaded, and a file with as many
links as the file system can hold is copied.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from dolmen.store.objects import Objects

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def checkout(objects: Objects, tree: str, meta: str, destination: Path) -> None:
    """Make `destination`, which must not exist, from a dirtree and its dirmeta. Not durable.

    Raises OSError, and StoreError ("object-missing", "object-damaged").
    """
    _directory(objects, tree, meta, os.fspath(destination))


def _directory(objects: Objects, tree: str, meta: str, path: str) -> None:
    content = objects.dirtree(tree)
    os.mkdir(path, 0o700)
    for name, (child, child_meta) in content.dirs.items():
        _directory(objects, child, child_meta, f"{path}/{name}")
    for name, checksum in content.files.items():
        _file(objects, checksum, f"{path}/{name}")
    os.chmod(path, objects.dirmeta(meta))
    os.utime(path, (0, 0))


def _file(objects: Objects, checksum: str, path: str) -> None:
    mode = objects.mode(checksum)
    if stat.S_ISLNK(mode):
        os.symlink(objects.read_link(checksum), path)
        os.utime(path, (0, 0), follow_symlinks=False)
        return
    source = objects.path(checksum, "file")
    try:
        os.link(source, path)
    except OSError as error:
        # ext4 knows 65000 links; the object of the empty file has that many in a big store.
        if error.errno != errno.EMLINK:
            raise
        _copy(source, path)


def _copy(source: str, path: str) -> None:
    mode = stat.S_IMODE(os.stat(source).st_mode)
    with open(source, "rb") as stream:
        fd = os.open(path, _NEW, 0o600)
        try:
            while os.copy_file_range(stream.fileno(), fd, 1 << 30):
                pass
            os.fchmod(fd, mode)
            os.utime(fd, (0, 0))
        finally:
            os.close(fd)
