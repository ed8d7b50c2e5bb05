"""Committed trees, walked object by object."""

from __future__ import annotations

from dolmen.store.repo import contents
from dolmen.store.repo.commits import load
from dolmen.store.repo.repository import damaged
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dolmen.store.repo.repository import Repository

    #: Names of files by object, names of directories by (dirtree, dirmeta); in the order on disk.
    Names = tuple[dict[str, str], dict[str, tuple[str, str]]]

_LINKS = 40
_TYPE, _DIRECTORY, _REGULAR = 0o170000, 0o040000, 0o100000


class Entry:
    """One name of a tree; `mode` has its type bits, `checksum` is the object's.

    Of a directory, `checksum` is its dirtree's and `meta` its dirmeta's. `path` begins with a
    slash; `size` is 0 of all but regular files.
    """

    __slots__ = ("_xattrs", "checksum", "gid", "meta", "mode", "path", "size", "target", "uid")

    def __init__(
        self,
        path: str,
        mode: int,
        uid: int,
        gid: int,
        size: int,
        checksum: str,
        meta: str | None = None,
        target: str | None = None,
        xattrs: bytes | Repository = b"",
    ) -> None:
        self.path = path
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.checksum = checksum
        self.meta = meta
        self.target = target
        #: Serialised, or whom to ask: most who walk a tree never want to know.
        self._xattrs = xattrs

    @property
    def is_directory(self) -> bool:
        """Whether it is one."""
        return self.meta is not None

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode & _TYPE == _REGULAR

    @property
    def serialised(self) -> bytes:
        """Its extended attributes, as `a(ayay)`."""
        if not isinstance(self._xattrs, bytes):
            self._xattrs = contents.xattrs(self._xattrs, self.checksum)
        return self._xattrs

    @property
    def xattrs(self) -> tuple[tuple[str, bytes], ...]:
        """Its extended attributes by name."""
        return contents.pairs(self.serialised)


class Tree:
    """The tree of one commit."""

    def __init__(self, repository: Repository, checksum: str) -> None:
        self.repository = repository
        self.commit = load(repository, checksum)
        self._metas: dict[str, tuple[int, int, int, bytes]] = {}
        # In `bare` attributes cost system calls of their own.
        self._asks = repository.mode == "bare"
        self.root = self.directory("/", self.commit.tree, self.commit.meta)

    def find(self, path: str) -> Entry:
        """The entry at a path; links are not followed.

        Raises StoreError ("no-path", "not-a-directory", "object-missing").
        """
        here = self.root
        for part in (part for part in path.split("/") if part not in ("", ".")):
            if not here.is_directory:
                raise StoreError(
                    f"Not a directory: {here.path}",
                    reason="not-a-directory",
                    hint="dolmen store ls -R COMMIT",
                )
            files, dirs = names(self.repository, here.checksum)
            below = f"{here.path.rstrip('/')}/{part}"
            if part in dirs:
                here = self.directory(below, *dirs[part])
            elif part in files:
                here = self.file(below, files[part])
            else:
                raise StoreError(
                    f"No such file or directory: {below}",
                    reason="no-path",
                    hint="dolmen store ls -R COMMIT",
                )
        return here

    def follow(self, path: str) -> Entry:
        """The regular file at a path; links are followed within the tree.

        Raises StoreError ("no-path", "not-a-directory", "not-a-file").
        """
        left = [part for part in path.split("/") if part]
        here: list[str] = []
        links = 0
        while left:
            part = left.pop(0)
            if part == "..":
                here = here[:-1]
                continue
            here.append(part)
            found = self.find("/".join(here))
            if found.target is not None and links < _LINKS:
                links += 1
                here = [] if found.target.startswith("/") else here[:-1]
                left = [name for name in found.target.split("/") if name not in ("", ".")] + left
        entry = self.find("/".join(here))
        if not entry.is_file:
            what = "Can't open directory" if entry.is_directory else "Too many links"
            raise StoreError(
                f"{what}: {path}", reason="not-a-file", hint=f"dolmen store ls COMMIT {path}"
            )
        return entry

    def children(self, entry: Entry) -> Iterator[Entry]:
        """What is in a directory: files, then directories, each by name, as `ostree ls` does."""
        files, dirs = names(self.repository, entry.checksum)
        base = entry.path.rstrip("/")
        for name, checksum in files.items():
            yield self.file(f"{base}/{name}", checksum)
        for name, (checksum, meta) in dirs.items():
            yield self.directory(f"{base}/{name}", checksum, meta)

    def walk(self, entry: Entry) -> Iterator[Entry]:
        """The entry and all below it."""
        yield entry
        waiting = [entry] if entry.is_directory else []
        while waiting:
            here = waiting.pop()
            if here is not entry:
                yield here
            files, dirs = names(self.repository, here.checksum)
            base = here.path.rstrip("/")
            for name, checksum in files.items():
                yield self.file(f"{base}/{name}", checksum)
            below = [self.directory(f"{base}/{n}", *dirs[n]) for n in dirs]
            waiting += reversed(below)

    def read(self, entry: Entry) -> Iterator[bytes]:
        """A regular file's content in pieces."""
        return contents.content(self.repository, entry.checksum)

    def directory(self, path: str, checksum: str, meta: str) -> Entry:
        """A directory by its two objects."""
        found = self._metas.get(meta)
        if found is None:
            data = self.repository.read(meta, "dirmeta")
            if len(data) < 12:
                raise damaged(meta, "dirmeta")
            uid, gid, mode = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4, 8))
            found = self._metas[meta] = (mode, uid, gid, data[12:])
        mode, uid, gid, xattrs = found
        return Entry(path, mode, uid, gid, 0, checksum, meta, None, xattrs)

    def file(self, path: str, checksum: str) -> Entry:
        """A file or a link by its object."""
        mode, uid, gid, size, target, xattrs = contents.facts(self.repository, checksum)
        asked = self.repository if self._asks else xattrs
        return Entry(path, mode, uid, gid, size, checksum, None, target, asked)


def names(repository: Repository, checksum: str) -> Names:
    """What is in a directory, by its dirtree; raises StoreError ("object-missing", …)."""
    data = repository.read(checksum, "dirtree")
    try:
        return decode(data)
    except (ValueError, IndexError):
        raise damaged(checksum, "dirtree") from None


def decode(data: bytes) -> Names:
    """Read a dirtree, (a(say)a(sayay)); raises ValueError when it is not one.

    Without the general reader, since this is most of what `diff`, `prune` and `fsck` do.
    """
    files: dict[str, str] = {}
    dirs: dict[str, tuple[str, str]] = {}
    size = len(data)
    width = 1 if size < 256 else 2 if size < 65536 else 4 if size < 1 << 32 else 8
    limit = size - width
    middle = int.from_bytes(data[limit:], "little")
    if not 0 <= middle <= limit:
        raise ValueError("bad framing offset")
    for item in _items(data[:middle]):
        rest, end = _tail(item)
        if end != rest - 32 or item[end - 1]:
            raise ValueError("no checksum")
        files[item[: end - 1].decode()] = item[end:rest].hex()
    for item in _items(data[middle:limit]):
        rest, end = _tail(item, 2)
        # Two offsets, the later one first: where the name ends, where the first checksum does.
        if end != rest - 64 or item[end - 1]:
            raise ValueError("no checksum")
        found = item[end:rest].hex()
        dirs[item[: end - 1].decode()] = (found[:64], found[64:])
    return files, dirs


def _tail(item: bytes, offsets: int = 1) -> tuple[int, int]:
    """Where a tuple's last member ends, and where its first does."""
    size = len(item)
    width = 1 if size < 256 else 2
    end = int.from_bytes(item[size - width :], "little")
    if not 0 < end < size or size >= 65536:
        raise ValueError("bad framing offset")
    return size - width * offsets, end


def _items(data: bytes) -> list[bytes]:
    if not data:
        return []
    size = len(data)
    width = 1 if size < 256 else 2 if size < 65536 else 4 if size < 1 << 32 else 8
    body = int.from_bytes(data[size - width :], "little")
    if body >= size or (size - body) % width:
        raise ValueError("bad framing offset")
    found = []
    start = 0
    for place in range(body, size, width):
        end = int.from_bytes(data[place : place + width], "little")
        if not start < end <= body:
            raise ValueError("bad framing offset")
        found.append(data[start:end])
        start = end
    return found
