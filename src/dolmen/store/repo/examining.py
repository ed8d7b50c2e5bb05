"""Is an object's file there, and is it what its name says? In libostree's words."""

from __future__ import annotations

import os
from hashlib import sha256

from dolmen.store.repo import contents
from dolmen.store.repo.commits import Commit
from dolmen.store.repo.tree import decode
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dolmen.store.repo.repository import Repository

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: Most files are read in one piece, which no larger buffer makes quicker.
_FIRST = 1 << 16
_PIECE = 1 << 20
_TYPE, _DIRECTORY, _REGULAR, _LINK = 0o170000, 0o040000, 0o100000, 0o120000
#: What is wrong (None: the object is not there), or nothing at all.
Verdict = tuple[bool, str]


def examiner(repository: Repository) -> Callable[[tuple[str, str]], Verdict | None]:
    """A function of (checksum, kind): (missing?, message), or None where all is well."""
    file = _File(repository)

    def examine(name: tuple[str, str]) -> Verdict | None:
        checksum, kind = name
        try:
            if kind == "file":
                return file(checksum)
            return metadata(repository, checksum, kind)
        except FileNotFoundError:
            return True, f"Object missing: {checksum}.{kind}"
        except OSError as error:
            words = error.strerror or str(error)
        except ValueError as error:
            words = str(error)
        except StoreError as error:
            if error.reason == "object-missing":
                return True, f"Object missing: {checksum}.{kind}"
            words = error.message
        return False, f"{_prefix(checksum, kind)}: {words}"

    return examine


def _prefix(checksum: str, kind: str) -> str:
    return f"fsck content object {checksum}" if kind == "file" else f"fsck {checksum}.{kind}"


def _compared(checksum: str, kind: str, actual: str) -> Verdict | None:
    if actual == checksum:
        return None
    return False, (
        f"{_prefix(checksum, kind)}: Corrupted {kind} object; "
        f"checksum expected='{checksum}' actual='{actual}'"
    )


def metadata(repository: Repository, checksum: str, kind: str) -> Verdict | None:
    """A commit, dirtree or dirmeta; raises StoreError, ValueError."""
    data = repository.read(checksum, kind)
    verdict = _compared(checksum, kind, sha256(data).hexdigest())
    if verdict is None:
        _SHAPES[kind](checksum, data)
    return verdict


def _commit(checksum: str, data: bytes) -> None:
    if "" in Commit(checksum, data).metadata():
        raise ValueError("Empty metadata key")


def _dirtree(_checksum: str, data: bytes) -> None:
    files, dirs = decode(data)
    for names in (files, dirs):
        for name in names:
            if "/" in name:
                raise ValueError(f"Invalid / in filename {name}")
            if name in ("", ".", ".."):
                raise ValueError(f"Invalid filename '{name}'")


def _dirmeta(_checksum: str, data: bytes) -> None:
    mode = int.from_bytes(data[8:12], "big")
    if len(data) < 12 or mode & _TYPE != _DIRECTORY:
        raise ValueError(f"Invalid directory metadata mode {mode}; not a directory")
    if mode & ~(_TYPE | 0o7777):
        raise ValueError(f"Invalid mode {mode}; invalid bits in mode")
    contents.pairs(data[12:])


_SHAPES = {"commit": _commit, "dirtree": _dirtree, "dirmeta": _dirmeta}


class _File:
    """Examines file objects; headers that come again, as most do, are made once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._headers: dict[tuple[int, int, int, bytes], bytes] = {}
        way = {"bare": self._bare, "bare-user": self._bare_user}
        way["bare-user-only"] = self._bare_user_only
        self._way = way.get(repository.mode, self._archive)
        self._parent = _File(repository.parent) if repository.parent is not None else None

    def __call__(self, checksum: str) -> Verdict | None:
        repository = self._repository
        place = f"{repository.objects}/{checksum[:2]}/{checksum[2:]}.{repository.file_suffix}"
        try:
            return _compared(checksum, "file", self._way(place))
        except FileNotFoundError:
            if self._parent is None:
                raise
            return self._parent(checksum)

    def _header(self, mode: int, uid: int, gid: int, xattrs: bytes) -> bytes:
        key = (mode, uid, gid, xattrs)
        found = self._headers.get(key)
        if found is None:
            if mode & _TYPE not in (_REGULAR, _LINK):
                raise ValueError(f"Invalid file metadata mode {mode}; not a valid file type")
            if mode & ~(_TYPE | 0o7777):
                raise ValueError(f"Invalid mode {mode}; invalid bits in mode")
            found = self._headers[key] = contents.header(mode, uid, gid, None, xattrs)
        return found

    def _bare(self, place: str) -> str:
        status = os.lstat(place)
        xattrs = contents.xattrs_on_disk(place)
        return self._plain(place, status.st_mode, status.st_uid, status.st_gid, xattrs)

    def _bare_user_only(self, place: str) -> str:
        return self._plain(place, os.lstat(place).st_mode, 0, 0, b"")

    def _plain(self, place: str, mode: int, uid: int, gid: int, xattrs: bytes) -> str:
        if mode & _TYPE == _LINK:
            return sha256(contents.header(mode, uid, gid, os.readlink(place), xattrs)).hexdigest()
        header = self._header(mode, uid, gid, xattrs)
        fd = os.open(place, _FLAGS)
        try:
            return _hashed(header, fd)
        finally:
            os.close(fd)

    def _bare_user(self, place: str) -> str:
        fd = os.open(place, _FLAGS)
        try:
            data = os.getxattr(fd, contents.XATTR)
            mode = int.from_bytes(data[8:12], "big")
            uid, gid = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
            if mode & _TYPE == _LINK:
                target = os.fsdecode(os.read(fd, _FIRST).removesuffix(b"\0"))
                return sha256(contents.header(mode, uid, gid, target, data[12:])).hexdigest()
            return _hashed(self._header(mode, uid, gid, data[12:]), fd)
        finally:
            os.close(fd)

    def _archive(self, place: str) -> str:
        fd = os.open(place, _FLAGS)
        try:
            mode, uid, gid, _, target, xattrs = contents.archive_header(fd)[0]
            if target is not None:
                return sha256(contents.header(mode, uid, gid, target, xattrs)).hexdigest()
            hashed = sha256(self._header(mode, uid, gid, xattrs))
            for piece in contents.inflated(fd):
                hashed.update(piece)
            return hashed.hexdigest()
        finally:
            os.close(fd)


def _hashed(header: bytes, fd: int) -> str:
    hashed = sha256(header)
    data = os.read(fd, _FIRST)
    hashed.update(data)
    if len(data) == _FIRST:
        while data := os.read(fd, _PIECE):
            hashed.update(data)
    return hashed.hexdigest()
