"""What differs between two trees, each a commit or a directory on disk."""

from __future__ import annotations

import difflib
import os
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.repository import History, failure, told
from dolmen.store.history.revisions import resolve
from dolmen.store.history.tree import Entry, Tree
from dolmen.store.objects import digest

#: Longer files are compared, but not shown line by line.
_TEXT_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One path: `kind` is "M", "D" or "A"; a mode is None on the side that lacks the path."""

    kind: str
    path: str
    before: Entry | None
    after: Entry | None


class Side(Protocol):
    """What can be compared."""

    root: Entry

    def children(self, entry: Entry) -> Iterator[Entry]:
        """What is in a directory."""

    def read(self, entry: Entry) -> Iterator[bytes]:
        """A file's content."""


class Directory:
    """A directory on disk, its files named by the checksums that they would have in a commit."""

    def __init__(self, path: str, *, uid: int | None, gid: int | None, xattrs: bool) -> None:
        self.path = path
        self._owner = uid, gid
        self._xattrs = xattrs
        with told():
            self.root = self._entry("/", path)

    def children(self, entry: Entry) -> Iterator[Entry]:
        """As of a commit's tree."""
        with told():
            for name in sorted(os.listdir(self.path + entry.path)):
                path = f"{entry.path.rstrip('/')}/{name}"
                yield self._entry(path, self.path + path)

    def read(self, entry: Entry) -> Iterator[bytes]:
        """As of a commit's tree."""
        with told(), open(self.path + entry.path, "rb") as stream:
            yield stream.read()

    def _entry(self, path: str, place: str) -> Entry:
        status = os.lstat(place)
        uid = status.st_uid if self._owner[0] is None else self._owner[0]
        gid = status.st_gid if self._owner[1] is None else self._owner[1]
        xattrs = self._read_xattrs(place)
        if stat.S_ISDIR(status.st_mode):
            # A dirmeta; its numbers are big-endian.
            numbers = (socket.htonl(number) for number in (uid, gid, status.st_mode))
            data = GLib.Variant("(uuua(ayay))", (*numbers, xattrs)).get_data_as_bytes()
            checksum = digest(bytes(data.get_data()))
            return Entry(path, status.st_mode, uid, gid, 0, checksum, meta=checksum)
        info = Gio.File.new_for_path(place).query_info(
            "standard::name,standard::type,standard::size,standard::is-symlink,"
            "standard::symlink-target,unix::mode",
            Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS,
            None,
        )
        info.set_attribute_uint32("unix::uid", uid)
        info.set_attribute_uint32("unix::gid", gid)
        regular = stat.S_ISREG(status.st_mode)
        # libostree wants a stream for links too, and PyGObject aborts where there is no checksum.
        stream = Gio.MemoryInputStream.new()
        if regular:
            stream = Gio.File.new_for_path(place).read(None)
        elif not stat.S_ISLNK(status.st_mode):
            raise failure(f"Not a regular file or symlink: {place}")
        variant = GLib.Variant("a(ayay)", xattrs)
        found = OSTree.checksum_file_from_input(info, variant, stream, OSTree.ObjectType.FILE)
        return Entry(
            path,
            status.st_mode,
            uid,
            gid,
            status.st_size if regular else 0,
            bytes(found[1]).hex(),
            target=None if regular else os.readlink(place),
        )

    def _read_xattrs(self, place: str) -> list[tuple[bytes, bytes]]:
        if not self._xattrs:
            return []
        return [
            (os.fsencode(name) + b"\0", os.getxattr(place, name, follow_symlinks=False))
            for name in sorted(os.listxattr(place, follow_symlinks=False))
        ]


def compare(
    history: History,
    before: str,
    after: str,
    *,
    uid: int | None = None,
    gid: int | None = None,
    xattrs: bool = True,
) -> tuple[Side, Side, list[Difference]]:
    """Compare two sides, each a revision or, with a `/` at either end or a dot first, a directory.

    Modified ones come first, then deleted, then added ones, as `ostree diff` prints them.
    Raises StoreError ("no-revision", "object-missing").
    """
    sides: list[Side] = []
    for name in (before, after):
        if name.startswith(("/", "./", "../")) or name in (".", ".."):
            sides.append(Directory(name.rstrip("/") or "/", uid=uid, gid=gid, xattrs=xattrs))
        else:
            sides.append(Tree(history, resolve(history, name)))
    mixed = not xattrs
    found = list(_below(sides[0], sides[1], sides[0].root, sides[1].root, _same(mixed)))
    found.sort(key=lambda difference: "MDA".index(difference.kind))
    return sides[0], sides[1], found


def shown(before: Side, after: Side, difference: Difference) -> str:
    """The path as `ostree diff` prints it: of a directory on disk it does not begin with /."""
    side = after if difference.kind == "A" else before
    return difference.path.lstrip("/") if isinstance(side, Directory) else difference.path


def patch(before: Side, after: Side, difference: Difference) -> list[str]:
    """The lines of a unified diff, modes as git shows them; what is no text is only named."""
    old, new = difference.before, difference.after
    names = [
        f"{letter}{difference.path}" if entry is not None else "/dev/null"
        for letter, entry in (("a", old), ("b", new))
    ]
    lines = [f"diff --git a{difference.path} b{difference.path}"]
    if old is None or new is None:
        mode = (old or new).mode  # type: ignore[union-attr]
        lines.append(f"{'deleted' if new is None else 'new'} file mode {mode:06o}")
    elif old.mode != new.mode:
        lines += [f"old mode {old.mode:06o}", f"new mode {new.mode:06o}"]
    if old is not None and new is not None and (old.uid, old.gid) != (new.uid, new.gid):
        lines += [f"old owner {old.uid}:{old.gid}", f"new owner {new.uid}:{new.gid}"]
    contents = [_text(side, entry) for side, entry in ((before, old), (after, new))]
    if None in contents:
        return [*lines, f"Binary files {names[0]} and {names[1]} differ"]
    one, two = (content or "" for content in contents)
    for line in difflib.unified_diff(
        one.splitlines(True), two.splitlines(True), names[0], names[1]
    ):
        lines.append(line.rstrip("\n"))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines


def _text(side: Side, entry: Entry | None) -> str | None:
    if entry is None or entry.is_directory:
        return ""
    if entry.target is not None:
        return entry.target
    if entry.size > _TEXT_LIMIT or not entry.is_file:
        return None
    data = b"".join(side.read(entry))
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _same(loose: bool) -> Callable[[Entry, Entry], bool]:
    def same(one: Entry, two: Entry) -> bool:
        if one.identity == two.identity:
            return True
        # Without extended attributes the checksum of a commit's file says too much.
        return loose and (one.mode, one.uid, one.gid, one.target, one.size) == (
            two.mode,
            two.uid,
            two.gid,
            two.target,
            two.size,
        )

    return same


def _below(
    before: Side, after: Side, one: Entry, two: Entry, same: Callable[[Entry, Entry], bool]
) -> Iterator[Difference]:
    if one.meta is not None and one.checksum == two.checksum != two.meta:
        return  # the same dirtree: nothing below differs
    olds = {entry.path: entry for entry in before.children(one)}
    news = {entry.path: entry for entry in after.children(two)}
    for path, old in olds.items():
        new = news.get(path)
        if new is None:
            yield Difference("D", path, old, None)
        elif old.is_directory != new.is_directory or not same(old, new):
            yield Difference("M", path, old, new)
        if new is not None and old.is_directory and new.is_directory:
            yield from _below(before, after, old, new, same)
    for path, new in news.items():
        if path not in olds:
            yield from _added(after, new)


def _added(side: Side, entry: Entry) -> Iterator[Difference]:
    yield Difference("A", entry.path, None, entry)
    if entry.is_directory:
        for child in side.children(entry):
            yield from _added(side, child)
