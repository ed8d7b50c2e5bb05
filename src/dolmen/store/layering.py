"""The difference of two trees as an overlay's upper directory (kernel: overlayfs.rst).

The opposite of `upper`: what `after` has otherwise than `before` is written out as files of their
own (never hard links to the store's objects: they will be written to), what it lacks becomes a
whiteout. Names come from commits that somebody else may have made: each is looked at, and nothing
is written through a link.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store.objects import DirTree, Objects
from dolmen.store.tar import MAX_DEPTH
from dolmen.support.errors import PackageError
from dolmen.support.files import remove_tree

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_Pair = tuple[Sha256, Sha256]


def write_layer(objects: Objects, before: _Pair, after: _Pair, upper: Path) -> int:
    """Write into `upper` (there, and ours) what leads from one (dirtree, dirmeta) to the other;
    how many names it holds. Not durable.

    Raises OSError, PackageError ("unsafe-path"), StoreError ("object-missing", "object-damaged").
    """
    return _Writer(objects).directory(before, after, os.fspath(upper), 0)


class _Writer:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def directory(self, before: _Pair | None, after: _Pair, where: str, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise PackageError(f"its directories are more than {MAX_DEPTH} deep", reason=_UNSAFE)
        old = DirTree({}, {}) if before is None else self._objects.dirtree(before[0])
        new = self._objects.dirtree(after[0])
        count = 0
        for name in (*new.files, *new.dirs, *old.files, *old.dirs):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise PackageError(f"the name {name[:80]!r} leaves the tree", reason=_UNSAFE)
        for name, pair in new.dirs.items():
            known = old.dirs.get(name)
            if known == pair:
                continue
            place = f"{where}/{name}"
            _make_directory(place)
            # An upper directory hides a lower file, and is merged with a lower directory.
            count += 1 + self.directory(known, pair, place, depth + 1)
            _set(place, self._objects.dirmeta(pair[1]) & 0o1777)
        for name, checksum in new.files.items():
            if old.files.get(name) != checksum:
                _place(f"{where}/{name}", self._writer(checksum))
                count += 1
        for name in (*old.files, *old.dirs):
            if name not in new.files and name not in new.dirs:
                _place(f"{where}/{name}", lambda place: os.mknod(place, stat.S_IFCHR, 0))
                count += 1
        return count

    def _writer(self, checksum: Sha256) -> Callable[[str], None]:
        mode = self._objects.mode(checksum)
        if stat.S_ISLNK(mode):
            return lambda place: _link(place, self._objects.read_link(checksum))
        return lambda place: _copy(self._objects.path(checksum, "file"), place, mode & 0o777)


_UNSAFE = "unsafe-path"


def _make_directory(place: str) -> None:
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            os.unlink(place)
            os.mkdir(place, 0o700)


def _place(place: str, write: Callable[[str], None]) -> None:
    if os.path.lexists(place):
        remove_tree(Path(place))
    write(place)


def _link(place: str, target: bytes) -> None:
    os.symlink(target, place)
    os.utime(place, (0, 0), follow_symlinks=False)


def _copy(source: str, place: str, mode: int) -> None:
    with open(source, "rb") as stream:
        fd = os.open(place, _NEW, 0o600)
        try:
            with os.fdopen(os.dup(fd), "wb") as target:
                shutil.copyfileobj(stream, target, 1 << 20)
            os.fchmod(fd, mode)
            os.utime(fd, (0, 0))
        finally:
            os.close(fd)


def _set(place: str, mode: int) -> None:
    os.chmod(place, mode)
    os.utime(place, (0, 0))
