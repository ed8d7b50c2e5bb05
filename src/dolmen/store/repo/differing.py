"""What differs between two trees, each a commit or a directory on disk."""

from __future__ import annotations

import os

from dolmen.store.repo import contents
from dolmen.store.repo.commits import resolve
from dolmen.store.repo.repository import unreadable
from dolmen.store.repo.tree import Entry, Tree, names
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dolmen.store.repo.repository import Repository

    #: A name's object, and of a directory its dirmeta: what tells whether two differ.
    Node = tuple[str, str | None]

#: Longer files are compared, but not shown line by line.
_TEXT_LIMIT = 1 << 20
_PIECE = 1 << 20
_TYPE, _DIRECTORY, _REGULAR, _LINK = 0o170000, 0o040000, 0o100000, 0o120000


class Difference:
    """One path: `kind` is "M", "D" or "A"; a side that lacks the path has no entry."""

    __slots__ = ("_nodes", "_sides", "kind", "path")

    def __init__(
        self, kind: str, path: str, before: Node | None, after: Node | None, sides: Sides
    ) -> None:
        self.kind = kind
        self.path = path
        self._nodes = before, after
        self._sides = sides

    @property
    def before(self) -> Entry | None:
        """What the path was; read when it is asked for, since most only want to know that."""
        node = self._nodes[0]
        return None if node is None else self._sides[0].entry(self.path, node)

    @property
    def after(self) -> Entry | None:
        """What the path is now."""
        node = self._nodes[1]
        return None if node is None else self._sides[1].entry(self.path, node)


class Committed:
    """The tree of a commit as a side of a comparison."""

    on_disk = False

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.root = tree.root

    def children(self, _path: str, node: Node) -> dict[str, Node]:
        """Names of a directory."""
        files, dirs = names(self._tree.repository, node[0])
        found: dict[str, Node] = {name: (checksum, None) for name, checksum in files.items()}
        found.update(dirs)
        return found

    def entry(self, path: str, node: Node) -> Entry:
        """What a name is."""
        if node[1] is not None:
            return self._tree.directory(path, node[0], node[1])
        return self._tree.file(path, node[0])

    def read(self, entry: Entry) -> bytes:
        """A file's content."""
        return b"".join(self._tree.read(entry))


class Directory:
    """A directory on disk, its files named by the checksums that they would have in a commit."""

    on_disk = True

    def __init__(self, path: str, *, uid: int | None, gid: int | None, xattrs: bool) -> None:
        self._path = path
        self._owner = uid, gid
        self._xattrs = xattrs
        self._entries: dict[str, Entry] = {}
        self._node("/")
        self.root = self._entries["/"]

    def children(self, path: str, _node: Node) -> dict[str, Node]:
        """Names of a directory."""
        base = path.rstrip("/")
        try:
            found = sorted(os.listdir(self._path + path), key=os.fsencode)
        except OSError as error:
            raise unreadable(error) from None
        return {name: self._node(f"{base}/{name}") for name in found}

    def entry(self, path: str, _node: Node) -> Entry:
        """What a name is."""
        return self._entries[path]

    def read(self, entry: Entry) -> bytes:
        """A file's content."""
        with open(self._path + entry.path, "rb") as stream:
            return stream.read()

    def _node(self, path: str) -> Node:
        try:
            # The root may be a file, which takes no slash.
            place = self._path + path if path != "/" else self._path
            entry = self._entries[path] = self._look(path, place)
        except OSError as error:
            raise unreadable(error) from None
        return entry.checksum, entry.meta

    def _look(self, path: str, place: str) -> Entry:
        from hashlib import sha256

        status = os.lstat(place)
        mode = status.st_mode
        uid = status.st_uid if self._owner[0] is None else self._owner[0]
        gid = status.st_gid if self._owner[1] is None else self._owner[1]
        xattrs = contents.xattrs_on_disk(place) if self._xattrs else b""
        if mode & _TYPE == _DIRECTORY:
            data = b"".join(number.to_bytes(4, "big") for number in (uid, gid, mode)) + xattrs
            checksum = sha256(data).hexdigest()
            return Entry(path, mode, uid, gid, 0, checksum, checksum, None, xattrs)
        target = os.readlink(place) if mode & _TYPE == _LINK else None
        if target is None and mode & _TYPE != _REGULAR:
            raise StoreError(
                f"Not a regular file or symlink: {place}",
                reason="not-a-file",
                hint="remove it, or compare a directory without it",
            )
        hashed = sha256(contents.header(mode, uid, gid, target, xattrs))
        if target is None:
            with open(place, "rb") as stream:
                while piece := stream.read(_PIECE):
                    hashed.update(piece)
        size = 0 if target is not None else status.st_size
        return Entry(path, mode, uid, gid, size, hashed.hexdigest(), None, target, xattrs)


if TYPE_CHECKING:
    Side = Committed | Directory
    Sides = tuple[Side, Side]


def compare(
    repository: Repository,
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
    one, two = (
        Directory(name.rstrip("/") or "/", uid=uid, gid=gid, xattrs=xattrs)
        if name.startswith(("/", "./", "../")) or name in (".", "..")
        else Committed(Tree(repository, resolve(repository, name)))
        for name in (before, after)
    )
    roots = [(side.root.checksum, side.root.meta) for side in (one, two)]
    found = list(_below((one, two), "/", roots[0], roots[1], not xattrs))
    found.sort(key=lambda difference: "MDA".index(difference.kind))
    return one, two, found


def _below(sides: Sides, path: str, one: Node, two: Node, loose: bool) -> Iterator[Difference]:
    before, after = sides
    if one[0] == two[0] and not (before.on_disk or after.on_disk):
        return  # the same dirtree: nothing below differs
    olds, news = before.children(path, one), after.children(path, two)
    base = path.rstrip("/")
    for name, old in olds.items():
        new = news.get(name)
        below = f"{base}/{name}"
        if new == old and not (before.on_disk or after.on_disk):
            continue
        if new is None:
            yield Difference("D", below, old, None, sides)
            continue
        both = old[1] is not None and new[1] is not None
        if (old[1] is None) != (new[1] is None) or not _same(sides, below, old, new, loose):
            yield Difference("M", below, old, new, sides)
        if both:
            yield from _below(sides, below, old, new, loose)
    for name, new in news.items():
        if name not in olds:
            yield from _added(sides, f"{base}/{name}", new)


def _same(sides: Sides, path: str, old: Node, new: Node, loose: bool) -> bool:
    """Whether two names of one kind are the same, a directory's own names left out."""
    if (old[1] or old[0]) == (new[1] or new[0]):
        return True
    if not loose:
        return False
    # Without extended attributes the checksum of a commit's file says too much.
    one, two = sides[0].entry(path, old), sides[1].entry(path, new)
    return (one.mode, one.uid, one.gid, one.target, one.size) == (
        two.mode,
        two.uid,
        two.gid,
        two.target,
        two.size,
    )


def _added(sides: Sides, path: str, node: Node) -> Iterator[Difference]:
    yield Difference("A", path, None, node, sides)
    if node[1] is not None:
        for name, child in sides[1].children(path, node).items():
            yield from _added(sides, f"{path}/{name}", child)


def shown(before: Side, after: Side, difference: Difference) -> str:
    """The path as `ostree diff` prints it: of a directory on disk it does not begin with /."""
    side = after if difference.kind == "A" else before
    return difference.path.lstrip("/") if side.on_disk else difference.path


def patch(before: Side, after: Side, difference: Difference) -> list[str]:
    """The lines of a unified diff, modes as git shows them; what is no text is only named."""
    import difflib

    old, new = difference.before, difference.after
    headings = [
        f"{letter}{difference.path}" if entry is not None else "/dev/null"
        for letter, entry in (("a", old), ("b", new))
    ]
    lines = [f"diff --git a{difference.path} b{difference.path}"]
    if old is None or new is None:
        only = old or new
        assert only is not None
        lines.append(f"{'deleted' if new is None else 'new'} file mode {only.mode:06o}")
    elif old.mode != new.mode:
        lines += [f"old mode {old.mode:06o}", f"new mode {new.mode:06o}"]
    if old is not None and new is not None and (old.uid, old.gid) != (new.uid, new.gid):
        lines += [f"old owner {old.uid}:{old.gid}", f"new owner {new.uid}:{new.gid}"]
    one, two = _text(before, old), _text(after, new)
    if one is None or two is None:
        return [*lines, f"Binary files {headings[0]} and {headings[1]} differ"]
    for line in difflib.unified_diff(
        one.splitlines(True), two.splitlines(True), headings[0], headings[1]
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
    data = side.read(entry)
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


class Statistics:
    """How much two commits have in common: objects, and bytes on disk of what both need."""

    __slots__ = ("after", "before", "common", "common_size")

    def __init__(self, repository: Repository, before: str, after: str) -> None:
        from dolmen.store.repo.reach import Reach

        reached = []
        for revision in (before, after):
            reach = Reach(repository)
            reach.commit(resolve(repository, revision))
            reached.append(reach.objects())
        both = reached[0] & reached[1]
        self.before, self.after, self.common = len(reached[0]), len(reached[1]), len(both)
        self.common_size = sum(
            os.lstat(repository.place(checksum, kind)).st_size for checksum, kind in both
        )

    def lines(self) -> list[str]:
        """As `ostree diff --stats` prints them."""
        from dolmen.store.repo.sizes import format_size

        return [
            f"[A] Object Count: {self.before}",
            f"[B] Object Count: {self.after}",
            f"Common Object Count: {self.common}",
            f"Common Object Size: {format_size(self.common_size)}",
        ]
