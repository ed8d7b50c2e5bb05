"""Tars as trees of a repository: names in memory, contents at once into objects.

Nothing is written by a name of the archive, so no name leads anywhere: a path below something that
is no directory is refused, whatever a link there points at. With `whiteouts`, each tar lies over
those before it, as the layers of a container's image do (OCI image spec, layer.md).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from gi.repository import Gio, GLib, OSTree

from dolmen.store.deb import bad
from dolmen.store.history.recording import write_dirmeta, write_dirtree
from dolmen.store.history.repository import History
from dolmen.store.tar import MAX_DEPTH, TarEntry, TarReader

#: From this size on content is streamed, not held.
_INLINE = 1 << 18
_MAX_ENTRIES = 4_000_000
#: How many paths are told of what was left out.
_TOLD = 100
_WHITEOUT, _OPAQUE, _AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
Xattrs = tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Rules:
    """Owners for all (None: as they are), whether extended attributes come along, and whether all
    is made as mode bare-user-only has it (0:0, no setuid)."""

    uid: int | None = None
    gid: int | None = None
    xattrs: bool = True
    canonical: bool = False


@dataclass(slots=True)
class Taken:
    """What came in and what did not. `skipped`: devices, fifos, sockets; `privileged`: files with
    setuid, setgid or capabilities (the first hundred of each); `attributes` that were left out."""

    names: int = 0
    skipped: list[str] = field(default_factory=list)
    privileged: list[str] = field(default_factory=list)
    attributes: int = 0
    whiteouts: int = 0

    def tell(self, where: list[str], path: str) -> None:
        """Note a path, unless there are enough of its kind."""
        if len(where) < _TOLD:
            where.append(path)


class _Folder:
    __slots__ = ("dirs", "files", "gid", "layer", "mode", "uid", "xattrs")

    def __init__(self, layer: int) -> None:
        self.dirs: dict[str, _Folder] = {}
        self.files: dict[str, tuple[str, int]] = {}
        self.uid = self.gid = 0
        self.mode = 0o755
        self.xattrs: Xattrs = ()
        self.layer = layer

    def clear(self, layer: int) -> None:
        """Take away what came before `layer`."""
        for name in [name for name, (_, of) in self.files.items() if of < layer]:
            del self.files[name]
        for name, child in list(self.dirs.items()):
            child.clear(layer)
            if child.layer < layer and not child.files and not child.dirs:
                del self.dirs[name]


class Content(Protocol):
    """Where a file's content comes from."""

    def content(self) -> Iterator[bytes]:
        """In pieces."""


class _Nothing:
    size = 0

    def content(self) -> Iterator[bytes]:
        return iter(())

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


class _Regular(_Nothing):
    """A file on disk, of the size that it has when it is opened."""

    def __init__(self, path: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._stream = os.fdopen(os.open(path, flags), "rb")
        status = os.fstat(self._stream.fileno())
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise bad(f"{path[-80:]!r} became something else meanwhile", "unsafe-path")

    def content(self) -> Iterator[bytes]:
        left = self.size
        while left:
            piece = self._stream.read(min(left, 1 << 20))
            if not piece:
                raise bad("a file became shorter while it was read", "truncated")
            left -= len(piece)
            yield piece

    def __exit__(self, *_error: object) -> None:
        self._stream.close()


_KINDS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}


def _entry(path: str, status: os.stat_result, where: str) -> TarEntry:
    try:
        path.encode()
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "c")
        target = os.readlink(where) if kind == "l" else ""
        target.encode()
    except UnicodeEncodeError:
        raise bad(f"the name or target {path[:80]!r} is not UTF-8", "unsafe-path") from None
    names = os.listxattr(where, follow_symlinks=False) if kind in "df" else []
    return TarEntry(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        target=target,
        uid=status.st_uid,
        gid=status.st_gid,
        xattrs=tuple(
            (name, os.getxattr(where, name, follow_symlinks=False).hex()) for name in sorted(names)
        ),
    )


class Intake:
    """A tree in the making; `take` one tar after the other, then `write`, in one transaction."""

    def __init__(self, history: History, rules: Rules) -> None:
        self._repo = history.repo
        self._history = history
        self.rules = rules
        self._root = _Folder(0)
        self._layer = 0
        self.taken = Taken()

    def take(self, reader: TarReader, *, whiteouts: bool = False) -> None:
        """Lay a tar over what is there; raises PackageError ("unsafe-path", "bad-tar", …)."""
        self._layer += 1
        for entry in reader:
            self.taken.names += 1
            if self.taken.names > _MAX_ENTRIES:
                raise bad("it has more than four million entries", "too-large")
            name = entry.path.rpartition("/")[2]
            if whiteouts and name.startswith(_WHITEOUT):
                self._whiteout(entry, name)
            elif entry.kind == "d":
                self._directory(entry)
            elif entry.kind in "cbp":
                self.taken.tell(self.taken.skipped, f"/{entry.path}")
            else:
                self._file(entry, reader)

    def take_directory(self, path: str) -> None:
        """Lay a directory over what is there; no link in it is followed.

        Raises PackageError ("unsafe-path"), OSError.
        """
        self._layer += 1
        entry = _entry("", os.stat(path), path)
        self._directory(entry)
        self._below(path, "", {})

    def _below(self, where: str, path: str, inodes: dict[tuple[int, int], str]) -> None:
        if path.count("/") > MAX_DEPTH:
            raise bad(f"its directories are more than {MAX_DEPTH} deep", "unsafe-path")
        with os.scandir(where) as listed:
            found = sorted(listed, key=lambda one: one.name)
        for one in found:
            self.taken.names += 1
            name = f"{path}{one.name}"
            status = one.stat(follow_symlinks=False)
            entry = _entry(name, status, one.path)
            inode = (status.st_dev, status.st_ino)
            if entry.kind == "d":
                self._directory(entry)
                self._below(one.path, f"{name}/", inodes)
            elif entry.kind not in "fl":
                self.taken.tell(self.taken.skipped, f"/{name}")
            elif inode in inodes:
                self._file(replace(entry, kind="h", target=inodes[inode], size=0), _Nothing())
            else:
                with _Regular(one.path) if entry.kind == "f" else _Nothing() as content:
                    size = content.size if entry.kind == "f" else 0
                    self._file(replace(entry, size=size), content)
                if status.st_nlink > 1:
                    inodes[inode] = name

    def write(self) -> tuple[str, str]:
        """Write the tree; its dirtree and its dirmeta."""
        return self._write(self._root)

    # Names

    def _parent(self, entry: TarEntry) -> tuple[_Folder, str]:
        *above, name = entry.path.split("/")
        here = self._root
        for part in above:
            if part in here.files:
                raise bad(
                    f"{entry.path[:80]!r} lies below {part[:80]!r}, no directory", "unsafe-path"
                )
            if part not in here.dirs:
                here.dirs[part] = _Folder(self._layer)
            here = here.dirs[part]
        return here, name

    def _directory(self, entry: TarEntry) -> None:
        folder = self._root
        if entry.path:
            parent, name = self._parent(entry)
            if name in parent.files:
                if parent.files[name][1] == self._layer:
                    raise bad(f"it has {entry.path[:80]!r} as two things", "unsafe-path")
                del parent.files[name]
            folder = parent.dirs.setdefault(name, _Folder(self._layer))
        folder.layer = self._layer
        folder.uid, folder.gid = self._owner(entry)
        folder.mode = entry.mode & (0o755 if self.rules.canonical else 0o7777)
        folder.xattrs = self._xattrs(entry)

    def _file(self, entry: TarEntry, reader: Content) -> None:
        parent, name = self._parent(entry)
        there = parent.dirs.get(name)
        if there is not None:
            there.clear(self._layer)
            if there.layer == self._layer or there.files or there.dirs:
                raise bad(f"it has {entry.path[:80]!r} as two things", "unsafe-path")
            del parent.dirs[name]
        if entry.kind == "h":
            checksum = self._linked(entry)
        elif entry.kind == "l":
            uid, gid = self._owner(entry)
            checksum = self._repo.write_symlink(
                None, uid, gid, _variant(self._xattrs(entry)), entry.target, None
            )
        else:
            checksum = self._content(entry, reader)
        parent.files[name] = checksum, self._layer

    def _linked(self, entry: TarEntry) -> str:
        here: _Folder | None = self._root
        *above, name = entry.target.split("/")
        for part in above:
            here = here.dirs.get(part) if here is not None else None
        if here is None or name not in here.files:
            raise bad(
                f"the hard link {entry.path[:80]!r} points at {entry.target[:80]!r}, which is no "
                "file before it",
                "unsafe-path",
            )
        return here.files[name][0]

    def _whiteout(self, entry: TarEntry, name: str) -> None:
        parent, _ = self._parent(entry)
        self.taken.whiteouts += 1
        if name == _OPAQUE:
            parent.clear(self._layer)
        elif not name.startswith(_AUFS):  # others of these are aufs's own
            gone = name.removeprefix(_WHITEOUT)
            if gone in ("", ".", ".."):
                raise bad(f"the whiteout {entry.path[:80]!r} names nothing", "unsafe-path")
            if parent.files.get(gone, ("", self._layer))[1] < self._layer:
                del parent.files[gone]
            elif gone in parent.dirs:
                child = parent.dirs[gone]
                child.clear(self._layer)
                if child.layer < self._layer and not child.files and not child.dirs:
                    del parent.dirs[gone]

    # Objects

    def _content(self, entry: TarEntry, reader: Content) -> str:
        uid, gid = self._owner(entry)
        mode = stat.S_IFREG | (entry.mode & (0o755 if self.rules.canonical else 0o7777))
        xattrs = self._xattrs(entry)
        if mode & 0o6000 or any(key == "security.capability" for key, _ in xattrs):
            self.taken.tell(self.taken.privileged, f"/{entry.path}")
        if entry.size < _INLINE:
            data = b"".join(reader.content())
            return str(
                self._repo.write_regfile_inline(None, uid, gid, mode, _variant(xattrs), data, None)
            )
        info = Gio.FileInfo.new()
        info.set_file_type(Gio.FileType.REGULAR)
        info.set_size(entry.size)
        for key, value in (("unix::mode", mode), ("unix::uid", uid), ("unix::gid", gid)):
            info.set_attribute_uint32(key, value)
        with _piped(reader.content()) as stream:
            _, content, length = OSTree.raw_file_to_content_stream(
                stream, info, _variant(xattrs), None
            )
            found = self._repo.write_content(None, content, length, None)[1]
        return bytes(found).hex()

    def _write(self, folder: _Folder) -> tuple[str, str]:
        dirs = {name: self._write(child) for name, child in folder.dirs.items()}
        files = {name: checksum for name, (checksum, _) in folder.files.items()}
        tree = write_dirtree(self._history, files, dirs)
        mode = stat.S_IFDIR | folder.mode
        return tree, write_dirmeta(self._history, folder.uid, folder.gid, mode, folder.xattrs)

    def _owner(self, entry: TarEntry) -> tuple[int, int]:
        if self.rules.canonical:
            return 0, 0
        uid = entry.uid if self.rules.uid is None else self.rules.uid
        gid = entry.gid if self.rules.gid is None else self.rules.gid
        if not 0 <= uid < 1 << 32 or not 0 <= gid < 1 << 32:
            raise bad(f"the owner of {entry.path[:80]!r} is no number of a user", "bad-tar")
        return uid, gid

    def _xattrs(self, entry: TarEntry) -> Xattrs:
        found = []
        for key, value in entry.xattrs:
            # Those of the kernel's and of libostree's own keeping would not mean what they say.
            own = key.startswith("user.") and not key.startswith(("user.overlay.", "user.ostree"))
            if not self.rules.canonical and self.rules.xattrs and (own or key in _KEPT):
                found.append((key, bytes.fromhex(value)))
            else:
                self.taken.attributes += 1
        return tuple(found)


_KEPT = frozenset({"security.capability", "system.posix_acl_access", "system.posix_acl_default"})


def _variant(xattrs: Xattrs) -> GLib.Variant | None:
    if not xattrs:
        return None
    pairs = sorted((key.encode() + b"\0", value) for key, value in xattrs)
    return GLib.Variant("a(ayay)", pairs)


@contextlib.contextmanager
def _piped(pieces: Iterator[bytes]) -> Iterator[Gio.InputStream]:
    """Pieces as a stream that libostree can read; a fault while they are made is the caller's."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    faults: list[BaseException] = []

    def feed() -> None:
        try:
            with os.fdopen(writing, "wb", 0) as target:
                for piece in pieces:
                    view = memoryview(piece)
                    while view:
                        view = view[target.write(view) :]
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    failed: GLib.Error | None = None
    try:
        yield Gio.UnixInputStream.new(reading, False)
    except GLib.Error as error:
        failed = error
    finally:
        while os.read(reading, 1 << 16):  # let it come to its end
            pass
        thread.join()
        os.close(reading)
    if faults or failed is not None:
        raise faults[0] if faults else failed  # type: ignore[misc]
