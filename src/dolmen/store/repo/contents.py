"""File objects in every mode: what kind of file, whose, and its bytes.

What a mode keeps where (libostree, ostree-repo.c): `bare` the file itself, `bare-user` owner, mode
and attributes in the attribute user.ostreemeta and a link's target as content, `bare-user-only`
no owner and no attributes, `archive` a header before the content, which is raw deflate.
"""

from __future__ import annotations

import os

from dolmen.store.repo.repository import damaged, missing, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dolmen.store.repo.repository import Repository

    #: mode with type bits, uid, gid, size (0 of links), a link's target, attributes as `a(ayay)`.
    Facts = tuple[int, int, int, int, str | None, bytes]

XATTR = "user.ostreemeta"
XATTRS = "a(ayay)"
_TYPE, _LINK, _REGULAR = 0o170000, 0o120000, 0o100000
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_PIECE = 1 << 20
#: Enough for all headers but those with large attributes.
_HEADER = 1 << 12


def facts(repository: Repository, checksum: str) -> Facts:
    """What is known of a file object without its content; `bare` leaves attributes out.

    Raises StoreError ("object-missing", "object-damaged", "store-failed").
    """
    try:
        return _FACTS[repository.mode](
            f"{repository.objects}/{checksum[:2]}/{checksum[2:]}.{repository.file_suffix}"
        )
    except FileNotFoundError:
        if repository.parent is not None:
            return facts(repository.parent, checksum)
        raise missing(checksum, "file") from None
    except OSError as error:
        if error.errno == 61:  # ENODATA: the attribute is lost
            raise damaged(checksum, "file") from None
        raise unreadable(error) from None
    except (ValueError, IndexError):
        raise damaged(checksum, "file") from None


def _bare(path: str) -> Facts:
    status = os.lstat(path)
    if status.st_mode & _TYPE == _LINK:
        return status.st_mode, status.st_uid, status.st_gid, 0, os.readlink(path), b""
    return status.st_mode, status.st_uid, status.st_gid, status.st_size, None, b""


def _bare_user(path: str) -> Facts:
    data = os.getxattr(path, XATTR)
    mode = int.from_bytes(data[8:12], "big")
    uid, gid = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    if mode & _TYPE == _LINK:
        from dolmen.store.repo.repository import slurp

        return mode, uid, gid, 0, os.fsdecode(slurp(path).removesuffix(b"\0")), data[12:]
    return mode, uid, gid, os.stat(path).st_size, None, data[12:]


def _bare_user_only(path: str) -> Facts:
    mode, _, _, size, target, _ = _bare(path)
    return mode, 0, 0, size, target, b""


def _archive(path: str) -> Facts:
    fd = os.open(path, _FLAGS)
    try:
        return archive_header(fd)[0]
    finally:
        os.close(fd)


def archive_header(fd: int) -> tuple[Facts, int]:
    """The facts of a `.filez`, and where its content begins.

    Length of the header and padding to 8, then (tuuuusa(ayay)) with big-endian numbers: size, uid,
    gid, mode, device, target, attributes.
    """
    data = os.pread(fd, _HEADER, 0)
    length = int.from_bytes(data[:4], "big")
    if length + 8 > len(data):
        if len(data) < _HEADER or length > 1 << 25:
            raise ValueError("no header")
        data = os.pread(fd, length + 8, 0)
    header = data[8 : 8 + length]
    width = 1 if length < 256 else 2 if length < 65536 else 4
    end = int.from_bytes(header[length - width :], "little")
    if not 24 < end <= length - width or header[end - 1]:
        raise ValueError("bad framing offset")
    mode = int.from_bytes(header[16:20], "big")
    target = os.fsdecode(header[24 : end - 1]) if mode & _TYPE == _LINK else None
    found = (
        mode,
        int.from_bytes(header[8:12], "big"),
        int.from_bytes(header[12:16], "big"),
        int.from_bytes(header[:8], "big"),
        target,
        header[end : length - width],
    )
    return found, 8 + length


_FACTS = {
    "bare": _bare,
    "bare-user": _bare_user,
    "bare-user-only": _bare_user_only,
    "archive": _archive,
    "archive-z2": _archive,
}


def xattrs(repository: Repository, checksum: str) -> bytes:
    """A file object's extended attributes, sorted, serialised as `a(ayay)`."""
    if repository.mode != "bare":
        return facts(repository, checksum)[5]
    place = repository.place(checksum, "file")
    if not os.path.lexists(place) and repository.parent is not None:
        return xattrs(repository.parent, checksum)
    try:
        return xattrs_on_disk(place)
    except OSError as error:
        raise unreadable(error) from None


def xattrs_on_disk(place: str) -> bytes:
    """The attributes of a file on disk, as libostree would store them."""
    names = os.listxattr(place, follow_symlinks=False)
    pairs = sorted((os.fsencode(name), name) for name in names)
    return serialise(
        [(raw + b"\0", os.getxattr(place, name, follow_symlinks=False)) for raw, name in pairs]
    )


def serialise(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Attributes as `a(ayay)`; names end with a NUL."""
    if not pairs:
        return b""
    items = []
    for name, value in pairs:
        body = name + value
        items.append(body + _offset(len(name), len(body), 1))
    ends, position = [], 0
    for item in items:
        position += len(item)
        ends.append(position)
    body = b"".join(items)
    return body + b"".join(_offset(end, len(body), len(ends)) for end in ends)


def _offset(end: int, body: int, count: int) -> bytes:
    for width in (1, 2, 4, 8):
        if body + count * width < 1 << 8 * width:
            break
    return end.to_bytes(width, "little")


def pairs(serialised: bytes) -> tuple[tuple[str, bytes], ...]:
    """Attributes by name; raises ValueError."""
    if not serialised:
        return ()
    from dolmen.store.repo import variant

    found = variant.read(XATTRS, serialised)
    return tuple((os.fsdecode(name.rstrip(b"\0")), value) for name, value in found)


def header(mode: int, uid: int, gid: int, target: str | None, serialised: bytes) -> bytes:
    """What libostree hashes before a file's content: (uuuusa(ayay)), its length before it."""
    head = b"".join(number.to_bytes(4, "big") for number in (uid, gid, mode, 0))
    head += os.fsencode(target or "") + b"\0"
    body = head + serialised
    body += _offset(len(head), len(body), 1)
    return len(body).to_bytes(4, "big") + bytes(4) + body


def content(repository: Repository, checksum: str) -> Iterator[bytes]:
    """A regular file's bytes in pieces; raises StoreError as `facts` does."""
    try:
        fd = os.open(repository.place(checksum, "file"), _FLAGS)
    except FileNotFoundError:
        if repository.parent is None:
            raise missing(checksum, "file") from None
        yield from content(repository.parent, checksum)
        return
    except OSError as error:
        raise unreadable(error) from None
    try:
        if not repository.archive:
            while piece := os.read(fd, _PIECE):
                yield piece
            return
        try:
            yield from inflated(fd)
        except ValueError:
            raise damaged(checksum, "file") from None
    finally:
        os.close(fd)


def inflated(fd: int) -> Iterator[bytes]:
    """The content of a `.filez` in pieces; raises ValueError when it is damaged."""
    import zlib

    _, start = archive_header(fd)
    os.lseek(fd, start, os.SEEK_SET)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not engine.eof and (data := os.read(fd, _PIECE)):
            yield engine.decompress(data, _PIECE)
            while engine.unconsumed_tail:
                yield engine.decompress(engine.unconsumed_tail, _PIECE)
        yield engine.flush()
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not engine.eof:
        raise ValueError("the content is cut off")
