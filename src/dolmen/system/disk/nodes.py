"""A file system to be written, as a tree of nodes in memory.

A node under several names is one file with hard links. Contents are not held: a node knows how to
read its own when its turn to be written has come.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

#: Where a file's bytes come from: the bytes, or a function that yields them in order. What it
#: yields must be `Node.size` bytes in all; it raises when it cannot.
Source = bytes | Callable[[], Iterable[bytes]]

#: chattr +i, as libostree sets on a deployment's root directory (`FS_IMMUTABLE_FL`).
IMMUTABLE = 0x10


@dataclass(slots=True, eq=False)
class Node:
    """One inode: `mode` with its type bits; `size` in bytes; `source` a link's target, too.

    `xattrs` are as getxattr(2) returns them. `entries` are those of a directory, by name. `object`:
    the checksum of the object that it is, "" for what no repository has.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()
    size: int = 0
    source: Source = b""
    entries: dict[bytes, Node] = field(default_factory=dict)
    flags: int = 0
    object: str = ""
    #: Names it has, set when the tree is numbered; for a directory those of its subdirectories too.
    links: int = 0
    number: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether it holds names."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    def chunks(self) -> Iterator[bytes]:
        """Its content, piece by piece."""
        if isinstance(self.source, bytes):
            yield self.source
        else:
            yield from self.source()

    def child(self, path: str) -> Node:
        """The node at a relative path; raises KeyError."""
        node = self
        for part in path.split("/"):
            node = node.entries[part.encode()]
        return node


def directory(mode: int = 0o755, *, uid: int = 0, gid: int = 0, mtime: int = 0) -> Node:
    """An empty directory."""
    return Node(stat.S_IFDIR | mode, uid, gid, mtime)


def file(content: bytes, mode: int = 0o644, *, mtime: int = 0) -> Node:
    """A regular file of root with a content that is at hand."""
    return Node(stat.S_IFREG | mode, mtime=mtime, size=len(content), source=content)


def link(target: str, *, mtime: int = 0) -> Node:
    """A symbolic link of root."""
    content = target.encode()
    return Node(stat.S_IFLNK | 0o777, mtime=mtime, size=len(content), source=content)


def place(root: Node, path: str, node: Node, *, mode: int = 0o755) -> Node:
    """Put a node at a relative path; directories on the way are made. Returns the node."""
    here = root
    *parents, name = path.split("/")
    for part in parents:
        found = here.entries.get(part.encode())
        if found is None:
            found = here.entries[part.encode()] = directory(mode, mtime=root.mtime)
        here = found
    here.entries[name.encode()] = node
    return node


def walk(root: Node) -> Iterator[Node]:
    """Every node once, a directory before what it holds, names in the order of their bytes."""
    seen: set[int] = set()
    waiting: list[Iterable[Node]] = [iter((root,))]
    while waiting:
        for node in waiting[-1]:
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            if node.entries:
                waiting.append(iter([node.entries[name] for name in sorted(node.entries)]))
                break
        else:
            waiting.pop()
