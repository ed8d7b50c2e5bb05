"""libostree's object formats, read and written without libostree.

Warm paths must not pay for GObject introspection (0.2 s), and composing a tree of tens of
thousands of names through one GI call a name is slow. So the three metadata objects (dirtree,
dirmeta, commit; `ostree-core.h`) are encoded and decoded here as GVariant's serialisation
(little data types only: strings, byte arrays, arrays and tuples of them). Tests compare with
libostree's own reading and writing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dolmen.model import Sha256
from dolmen.store.repo.contents import pairs
from dolmen.store.repo.tree import decode
from dolmen.support.errors import StoreError

DIRTREE_TYPE = "(a(say)a(sayay))"
DIRMETA_TYPE = "(uuua(ayay))"
COMMIT_TYPE = "(a{sv}aya(say)sstayay)"

XATTR = "user.ostreemeta"

Xattrs = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a commit says of a file or directory beside its content: mode with type bits, owner,
    extended attributes (sorted by name). Canonical ones are of 0:0, without any of the last."""

    mode: int
    uid: int = 0
    gid: int = 0
    xattrs: Xattrs = ()

    def encode(self) -> bytes:
        """`(uuua(ayay))`: a dirmeta, and the attribute `user.ostreemeta` of a file."""
        return _numbers(self.uid, self.gid, self.mode) + _encode_xattrs(self.xattrs)

    @property
    def permissions(self) -> int:
        """The mode without type bits."""
        return stat.S_IMODE(self.mode)

    @property
    def disk_mode(self) -> int:
        """The permission bits that its file has in a bare-user repository."""
        return 0o644 if stat.S_ISLNK(self.mode) else self.mode & 0o775 | 0o400

    @property
    def is_plain(self) -> bool:
        """Whether a hard link to its object has all of them already."""
        if stat.S_ISLNK(self.mode):
            return not (self.uid or self.gid or self.xattrs)
        return self == Attributes(stat.S_IFMT(self.mode) | self.disk_mode)


def decode_attributes(data: bytes) -> Attributes:
    """Read a dirmeta or `user.ostreemeta`; raises ValueError when it is none."""
    if len(data) < 12:
        raise ValueError("too short")
    uid, gid, mode = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4, 8))
    return Attributes(mode, uid, gid, pairs(data[12:]))


@dataclass(frozen=True, slots=True)
class DirTree:
    """One directory's names: files (and symbolic links) by object, directories by (tree, meta)."""

    files: Mapping[str, Sha256]
    dirs: Mapping[str, tuple[Sha256, Sha256]]


@dataclass(frozen=True, slots=True)
class Commit:
    """The two checksums a commit points at, and the commit before it."""

    tree: Sha256
    meta: Sha256
    parent: Sha256 | None = None


def digest(data: bytes) -> Sha256:
    """The checksum of a metadata object."""
    return Sha256(hashlib.sha256(data).hexdigest())


def root_checksum(tree: str, meta: str) -> Sha256:
    """libostree's content checksum (`ostree log`: ContentChecksum) of a root directory."""
    return Sha256(hashlib.sha256(bytes.fromhex(tree) + bytes.fromhex(meta)).hexdigest())


def file_header(mode: int, target: str = "") -> bytes:
    """What libostree hashes before the content of a file of 0:0 without extended attributes."""
    return full_header(Attributes(mode), target)


def full_header(attributes: Attributes, target: str = "") -> bytes:
    """What libostree hashes before a file's content: `(uuuusa(ayay))` behind its length."""
    header = _numbers(attributes.uid, attributes.gid, attributes.mode, 0)
    header += target.encode() + b"\0"
    end = len(header)
    header += _encode_xattrs(attributes.xattrs)
    header += _offsets(len(header), [end])
    return len(header).to_bytes(4, "big") + bytes(4) + header


def file_checksum(content: bytes, mode: int) -> Sha256:
    """The checksum of a regular file's object (`mode`: permission bits only)."""
    return digest(file_header(stat.S_IFREG | mode) + content)


def encode_dirmeta(mode: int) -> bytes:
    """A dirmeta of 0:0 without extended attributes (`mode`: permission bits only)."""
    return bytes(8) + (stat.S_IFDIR | mode).to_bytes(4, "big")


def decode_dirmeta(data: bytes) -> int:
    """The permission bits of a dirmeta."""
    return stat.S_IMODE(int.from_bytes(data[8:12], "big"))


def encode_dirtree(files: Mapping[str, str], dirs: Mapping[str, tuple[str, str]]) -> bytes:
    """A dirtree; names are sorted by their bytes, as `ostree fsck` demands."""
    first = _array(
        _tuple(name.encode() + b"\0", bytes.fromhex(files[name]))
        for name in sorted(files, key=os.fsencode)
    )
    second = _array(
        _tuple(name.encode() + b"\0", *(bytes.fromhex(part) for part in dirs[name]))
        for name in sorted(dirs, key=os.fsencode)
    )
    return _tuple(first, second)


def decode_dirtree(data: bytes) -> DirTree:
    """Read a dirtree; raises ValueError when it is not one."""
    files, dirs = decode(data)
    return DirTree(cast("dict[str, Sha256]", files), cast("dict[str, tuple[Sha256, Sha256]]", dirs))


def encode_commit(tree: str, meta: str, *, subject: str = "") -> bytes:
    """A commit with time stamp 0, no parent, no metadata, no bindings: a function of its tree."""
    head = subject.encode() + b"\0"
    subject_end = len(head)
    head += b"\0"
    body_end = len(head)
    head += bytes(-len(head) % 8) + bytes(8) + bytes.fromhex(tree)
    ends = [0, 0, 0, subject_end, body_end, len(head)]
    data = head + bytes.fromhex(meta)
    return data + _offsets(len(data), ends)


def decode_commit(data: bytes) -> Commit:
    """Read a commit, ours or another's; raises ValueError when it is not one."""
    width = _width(len(data))
    count = 6
    ends = [
        int.from_bytes(data[len(data) - (i + 1) * width : len(data) - i * width], "little")
        for i in range(count)
    ]
    start = ends[4] + -ends[4] % 8 + 8
    tree, meta = data[start : ends[5]], data[ends[5] : len(data) - count * width]
    before = data[ends[0] : ends[1]]
    return Commit(_hex(tree), _hex(meta), _hex(before) if before else None)


class Objects:
    """Reads the loose objects of a bare-user repository straight from its files.

    `staging`: a transaction's quarantine, whose objects count as well. Kinds of objects: "file",
    "dirtree", "dirmeta", "commit".
    """

    def __init__(self, repository: Path, staging: Path | None = None) -> None:
        self._directory = os.path.join(repository, "objects")
        self._staging = None if staging is None else os.fspath(staging)

    def path(self, checksum: str, kind: str) -> str:
        """Where an object lies, or would lie when it is not there."""
        path = f"{self._directory}/{checksum[:2]}/{checksum[2:]}.{kind}"
        if self._staging is not None and not os.path.lexists(path):
            staged = f"{self._staging}/{checksum}.{kind}"
            if os.path.lexists(staged):
                return staged
        return path

    def has(self, checksum: str, kind: str) -> bool:
        """Whether the object is there."""
        return os.path.lexists(self.path(checksum, kind))

    def read(self, checksum: str, kind: str = "file") -> bytes:
        """An object's bytes as they are on disk; for symbolic links see `link_target`.

        Raises StoreError (reason "object-missing").
        """
        try:
            with open(self.path(checksum, kind), "rb") as stream:
                return stream.read()
        except OSError as error:
            raise _unreadable(checksum, kind, error) from None

    def dirtree(self, checksum: str) -> DirTree:
        """A directory; raises StoreError ("object-missing", "object-damaged")."""
        data = self.read(checksum, "dirtree")
        try:
            return decode_dirtree(data)
        except (ValueError, IndexError):
            raise _damaged(checksum, "dirtree") from None

    def dirmeta(self, checksum: str) -> int:
        """A directory's permission bits."""
        return decode_dirmeta(self.read(checksum, "dirmeta"))

    def directory_attributes(self, checksum: str) -> Attributes:
        """All that a dirmeta says; raises StoreError ("object-missing", "object-damaged")."""
        data = self.read(checksum, "dirmeta")
        try:
            return decode_attributes(data)
        except (ValueError, IndexError):
            raise _damaged(checksum, "dirmeta") from None

    def attributes(self, checksum: str) -> Attributes:
        """All that a commit says of a file or symbolic link beside its content.

        Raises StoreError ("object-missing", "object-damaged").
        """
        try:
            return decode_attributes(os.getxattr(self.path(checksum, "file"), XATTR))
        except OSError as error:
            raise _unreadable(checksum, "file", error) from None
        except (ValueError, IndexError):
            raise _damaged(checksum, "file") from None

    def commit(self, checksum: str) -> Commit:
        """A commit; raises StoreError ("object-missing", "object-damaged")."""
        data = self.read(checksum, "commit")
        try:
            return decode_commit(data)
        except (ValueError, IndexError):
            raise _damaged(checksum, "commit") from None

    def mode(self, checksum: str) -> int:
        """A file object's mode with its type bits, as the commit knows it."""
        try:
            data = os.getxattr(self.path(checksum, "file"), XATTR)
        except OSError as error:
            raise _unreadable(checksum, "file", error) from None
        return int.from_bytes(data[8:12], "big")

    def size(self, checksum: str) -> int:
        """A file object's size in bytes; raises StoreError ("object-missing")."""
        try:
            return os.stat(self.path(checksum, "file")).st_size
        except OSError as error:
            raise _unreadable(checksum, "file", error) from None

    def link_target(self, checksum: str) -> str | None:
        """A symbolic link's target, None for a regular file."""
        if not stat.S_ISLNK(self.mode(checksum)):
            return None
        return self.read_link(checksum).decode()

    def read_link(self, checksum: str) -> bytes:
        """The target of an object known to be a symbolic link; libostree ends it with a NUL."""
        return self.read(checksum).removesuffix(b"\0")


def _unreadable(checksum: str, kind: str, error: OSError) -> StoreError:
    if error.errno == errno.ENODATA:
        return _damaged(checksum, kind)
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        raise error
    return StoreError(
        f"the store lacks the {kind} object {checksum}",
        reason="object-missing",
        hint="see what else is missing: dolmen fsck",
    )


def _damaged(checksum: str, kind: str) -> StoreError:
    return StoreError(
        f"the {kind} object {checksum} is damaged",
        reason="object-damaged",
        hint="see what else is damaged: dolmen fsck",
    )


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def _encode_xattrs(xattrs: Iterable[tuple[str, bytes]]) -> bytes:
    return _array(_tuple(name.encode() + b"\0", value) for name, value in sorted(xattrs))


def _hex(data: bytes) -> Sha256:
    if len(data) != 32:
        raise ValueError("not a checksum")
    return Sha256(data.hex())


def _offsets(body: int, ends: list[int]) -> bytes:
    """A tuple's framing offsets: last member first, as narrow as the whole allows."""
    for width in (1, 2, 4, 8):
        if body + len(ends) * width < 1 << 8 * width:
            return b"".join(end.to_bytes(width, "little") for end in reversed(ends))
    raise ValueError("too large")


def _width(size: int) -> int:
    return next(width for width in (1, 2, 4, 8) if size < 1 << 8 * width)


def _tuple(*parts: bytes) -> bytes:
    """A tuple of variable-sized members without alignment; the last needs no offset."""
    ends: list[int] = []
    position = 0
    for part in parts[:-1]:
        position += len(part)
        ends.append(position)
    body = b"".join(parts)
    return body + _offsets(len(body), ends)


def _array(items: object) -> bytes:
    parts: list[bytes] = list(items)  # type: ignore[call-overload]
    if not parts:
        return b""
    body = b"".join(parts)
    for width in (1, 2, 4, 8):
        if len(body) + len(parts) * width < 1 << 8 * width:
            break
    ends: list[bytes] = []
    position = 0
    for part in parts:
        position += len(part)
        ends.append(position.to_bytes(width, "little"))
    return body + b"".join(ends)
