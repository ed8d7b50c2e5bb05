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

from dolmen.store.objects import Attributes, Objects
from dolmen.support.errors import StoreError

#: What links to objects cannot have, by path ("." for the root): copies wait to be given it.
Wanted = dict[str, Attributes]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def checkout(
    objects: Objects,
    tree: str,
    meta: str,
    destination: Path,
    *,
    wanted: Wanted | None = None,
    damaged: bool = False,
) -> None:
    """Make `destination`, which must not exist, from a dirtree and its dirmeta. Not durable.

    All is ours, with the modes of the repository's files. With `wanted`, whatever should have other
    owners, modes or extended attributes becomes a copy and is noted there; who has the ids mapped
    can give them afterwards. What somebody wrote to is read again, and refused where it is damaged
    (but not with `damaged`: to mend what can be). Raises OSError, and StoreError
    ("object-missing", "object-damaged").
    """
    _Checkout(objects, wanted, damaged).directory(tree, meta, os.fspath(destination), "")


class _Checkout:
    def __init__(self, objects: Objects, wanted: Wanted | None, damaged: bool) -> None:
        self.objects = objects
        self.wanted = wanted
        self.damaged = damaged

    def directory(self, tree: str, meta: str, path: str, name: str) -> None:
        objects = self.objects
        content = objects.dirtree(tree)
        os.mkdir(path, 0o700)
        for child_name, (child, child_meta) in content.dirs.items():
            below = f"{name}/{child_name}" if name else child_name
            self.directory(child, child_meta, f"{path}/{child_name}", below)
        for child_name, checksum in content.files.items():
            below = f"{name}/{child_name}" if name else child_name
            self.file(checksum, f"{path}/{child_name}", below)
        mode = objects.dirmeta(meta)
        if self.wanted is not None:
            attributes = objects.directory_attributes(meta)
            if attributes.uid or attributes.gid or mode & 0o6000:
                self.wanted[name or "."] = attributes
                mode &= 0o1777
        os.chmod(path, mode)
        os.utime(path, (0, 0))

    def file(self, checksum: str, path: str, name: str) -> None:
        objects = self.objects
        if self.wanted is None:
            mode, is_plain = objects.mode(checksum), True
        else:
            attributes = objects.attributes(checksum)
            mode, is_plain = attributes.mode, attributes.is_plain
            if not is_plain:
                self.wanted[name] = attributes
        if stat.S_ISLNK(mode):
            os.symlink(objects.read_link(checksum), path)
            os.utime(path, (0, 0), follow_symlinks=False)
            return
        source = objects.path(checksum, "file")
        if not self.damaged:
            _refuse_written(objects, checksum, source)
        if not is_plain:
            _copy(source, path)
            return
        try:
            os.link(source, path)
        except OSError as error:
            # ext4 knows 65000 links; the object of the empty file has that many in a big store.
            if error.errno != errno.EMLINK:
                raise
            _copy(source, path)


def _refuse_written(objects: Objects, checksum: str, source: str) -> None:
    """An object that somebody wrote to (through a tree, say) is read again before it spreads."""
    try:
        if os.lstat(source).st_mtime_ns == 0:
            return
    except FileNotFoundError:
        return  # told where it is linked
    from dolmen.store.examining import examine

    if examine(objects, checksum, "file") == "content":
        raise StoreError(
            f"the file object {checksum} is damaged: somebody wrote to it",
            reason="object-damaged",
            hint="dolmen repair",
        )


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
