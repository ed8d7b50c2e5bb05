"""Reading an overlay's upper directory back into a tree (kernel: overlayfs.rst).

The directory was written by maintainer scripts: it is read by descriptors, without following
links, and never trusted to hold still names that mean something elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store.objects import Attributes
from dolmen.store.tar import MAX_DEPTH
from dolmen.store.transaction import INLINE_LIMIT, Transaction
from dolmen.store.tree import Directory
from dolmen.support.errors import PackageError, StoreError

_PIECE = 1 << 20
#: Both spellings: `user.` with the mount option userxattr, `trusted.` without.
_SPACES = ("user.overlay.", "trusted.overlay.")


def apply_upper(
    transaction: Transaction,
    root: Directory,
    upper: Path,
    drop: Callable[[str], bool],
    owners: Mapping[str, Attributes] | None = None,
) -> None:
    """Lay `upper` over `root`; see `TreeBuilder.apply_upper`.

    Raises PackageError ("unsafe-path") for names that a tree cannot hold, StoreError
    ("overlay-format") for an overlay that kept data elsewhere (redirect, metacopy).
    """
    # The upper directory itself is our scratch directory: the root keeps the mode it has.
    _Reader(transaction, drop, owners).directory(os.fspath(upper), "", root, 0)


class _Reader:
    def __init__(
        self,
        transaction: Transaction,
        drop: Callable[[str], bool],
        owners: Mapping[str, Attributes] | None,
    ) -> None:
        self._transaction = transaction
        self._drop = drop
        self._owners = owners
        self._inodes: dict[tuple[int, int], Sha256] = {}

    def _attributes(self, path: str, status: os.stat_result) -> Attributes:
        """What the tree shall say of it: the truth that was noted, or the canonical."""
        if self._owners is not None and path in self._owners:
            return self._owners[path]
        kind, bits = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
        return Attributes(kind | bits & (0o1777 if kind == stat.S_IFDIR else 0o777))

    def directory(self, where: str, path: str, into: Directory, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PackageError(
                f"a script made directories more than {MAX_DEPTH} deep",
                reason="unsafe-path",
                context=path[:200],
            )
        with _listed(where) as found:
            self._entries(found, path, into, depth)

    def _entries(
        self, found: list[os.DirEntry[str]], path: str, into: Directory, depth: int
    ) -> None:
        for entry in found:
            name = f"{path}/{entry.name}"
            if not _is_text(entry.name):
                raise PackageError(
                    "a script made a file whose name is not UTF-8",
                    reason="unsafe-path",
                    context=repr(name[:200]),
                )
            if self._drop(name):
                into.remove(entry.name)
            else:
                self._entry(entry, name, into, depth)

    def _entry(self, entry: os.DirEntry[str], path: str, into: Directory, depth: int) -> None:
        status = entry.stat(follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        name = entry.name
        if kind == stat.S_IFDIR:
            child = into.dirs.get(name)
            if _is_opaque(entry.path) or child is None:
                child = Directory(self._transaction.objects)
                into.place(name, child)
            found = self._attributes(path, status)
            child.set_attributes(found.permissions, found.uid, found.gid)
            self.directory(entry.path, path, child, depth + 1)
        elif kind == stat.S_IFREG:
            if status.st_size == 0 and _attribute(entry.path, "whiteout") is not None:
                into.remove(name)
            else:
                into.place(name, self._file(entry.path, status, self._attributes(path, status)))
        elif kind == stat.S_IFLNK:
            target = os.readlink(entry.path)
            if not _is_text(target):
                raise PackageError(
                    "a script made a link whose target is not UTF-8",
                    reason="unsafe-path",
                    context=repr(path[:200]),
                )
            found = self._attributes(path, status)
            into.place(name, self._transaction.write_symlink(target, found.uid, found.gid))
        elif kind == stat.S_IFCHR and status.st_rdev == 0:
            into.remove(name)
        # Sockets, fifos and devices: no tree can hold them, and nothing needs them at rest.

    def _file(self, where: str, status: os.stat_result, attributes: Attributes) -> Sha256:
        inode = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and inode in self._inodes:
            return self._inodes[inode]
        if _attribute(where, "metacopy") is not None:
            raise _elsewhere(where)
        fd = _open(where, status)
        try:
            size = os.fstat(fd).st_size
            if size < INLINE_LIMIT:
                checksum = self._transaction.write_owned(b"".join(_pieces(fd)), attributes)
            else:
                checksum = self._transaction.stream_owned(_pieces(fd), size, attributes)
        finally:
            os.close(fd)
        if status.st_nlink > 1:
            self._inodes[inode] = checksum
        return checksum


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, _PIECE):
        yield piece


def _open(where: str, status: os.stat_result) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(where, flags)
    except PermissionError:
        # Ours, but without the owner's read permission; it is as it was when we are through.
        mode = stat.S_IMODE(status.st_mode)
        os.chmod(where, mode | 0o400)
        try:
            fd = os.open(where, flags)
        finally:
            os.chmod(where, mode)
    return fd


@contextlib.contextmanager
def _listed(where: str) -> Iterator[list[os.DirEntry[str]]]:
    """What is in a directory; one without the owner's permissions has them for the time being."""
    mode = stat.S_IMODE(os.lstat(where).st_mode)
    if mode & 0o500 != 0o500:
        os.chmod(where, mode | 0o500)
    try:
        with os.scandir(where) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        yield found
    finally:
        if mode & 0o500 != 0o500:
            os.chmod(where, mode)


def _is_opaque(where: str) -> bool:
    if _attribute(where, "redirect") is not None:
        raise _elsewhere(where)
    return _attribute(where, "opaque") == b"y"


def _attribute(where: str, name: str) -> bytes | None:
    for space in _SPACES:
        try:
            return os.getxattr(where, space + name, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.EPERM, errno.ENOTSUP, errno.EACCES):
                raise
    return None


def _elsewhere(where: str) -> StoreError:
    return StoreError(
        "the overlay kept a part of what it holds elsewhere (redirect_dir or metacopy)",
        reason="overlay-format",
        context=where,
        hint="dolmen doctor",
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
