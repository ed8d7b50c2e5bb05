"""One object after another, on all processors: is its file there, and is it what its name says?

Everything that can be said of a file is a word: "missing", "content" (it hashes to something else,
or its attribute is lost), "owner", "xattr" (attributes that no object has), "mode" (permission bits
of the file, and with them of every realised tree), "time" (written to, or touched: objects and
realised trees share inodes, and ours have the time 0). The empty word: all is well.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Sequence

from dolmen.store.objects import XATTR, Attributes, Objects, decode_attributes, full_header
from dolmen.store.usage import ObjectName

_PIECE = 1 << 20
_METADATA = ("commit", "dirtree", "dirmeta")
_METADATA_MODE = 0o644


def examine(objects: Objects, checksum: str, kind: str, *, quick: bool = False) -> str:
    """What is wrong with one object; `quick`: its content is read only where it was written to."""
    return examine_path(objects.path(checksum, kind), checksum, kind, quick=quick)


def examine_path(path: str, checksum: str, kind: str, *, quick: bool = False) -> str:
    """The same for a file that lies elsewhere and could be that object."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return "mode" if error.errno in (errno.EACCES, errno.EPERM) else "content"
    try:
        return _examine(fd, checksum, kind, quick)
    except (OSError, ValueError):
        return "content"
    finally:
        os.close(fd)


def _examine(fd: int, checksum: str, kind: str, quick: bool) -> str:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return "content"
    if kind in _METADATA:
        wanted, hashed = _METADATA_MODE, hashlib.sha256()
        written = True  # they are small
    elif kind == "file":
        attributes = _attribute(fd)
        mode = attributes.mode
        wanted = attributes.disk_mode
        written = status.st_mtime_ns != 0
        if stat.S_ISLNK(mode):
            target = os.pread(fd, 1 << 16, 0)
            if target[-1:] != b"\0":
                return "content"
            hashed = hashlib.sha256(full_header(attributes, target[:-1].decode()))
        else:
            hashed = hashlib.sha256(full_header(attributes))
    else:
        return ""  # detached: nothing says what it should be
    if not quick or written:
        if kind != "file" or not stat.S_ISLNK(mode):
            while piece := os.read(fd, _PIECE):
                hashed.update(piece)
        if hashed.hexdigest() != checksum:
            return "content"
    if status.st_uid != os.geteuid():
        return "owner"
    if any(name != XATTR and name.startswith("user.") for name in os.listxattr(fd)):
        return "xattr"
    if stat.S_IMODE(status.st_mode) != wanted:
        return "mode"
    return "time" if kind == "file" and status.st_mtime_ns != 0 else ""


def disk_mode(mode: int) -> int:
    """The permission bits that the file of an object of this mode has in the repository."""
    return 0o644 if stat.S_ISLNK(mode) else mode & 0o775 | 0o400


def _attribute(fd: int) -> Attributes:
    found = decode_attributes(os.getxattr(fd, XATTR))
    if not (stat.S_ISREG(found.mode) or stat.S_ISLNK(found.mode)):
        raise ValueError("no attribute of ours")
    return found


def examine_all(
    objects: Objects, names: Sequence[ObjectName], *, quick: bool, told: Callable[[int], None]
) -> dict[ObjectName, str]:
    """Those with which something is wrong; `told` hears how many are done."""
    from dolmen.store.repo.parallel import each

    def work(name: ObjectName) -> str | None:
        return examine(objects, *name, quick=quick) or None

    try:
        return dict(each(work, list(names), told))
    except ChildProcessError:  # one was killed, for want of memory perhaps
        return {name: what for name in names if (what := work(name)) is not None}
