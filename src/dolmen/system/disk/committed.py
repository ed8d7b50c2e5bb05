"""A commit of a bare-user repository as nodes: what `mode=bare` would have on the disk."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store.objects import Attributes, Objects, decode_dirtree, digest, full_header
from dolmen.support.errors import StoreError
from dolmen.system.disk.nodes import Node, Source, file

_CHUNK = 4 << 20
#: An inode has at most so many names on ext4 (65000); what needs more is copied, as libostree does.
_MOST_NAMES = 60000


class Committed:
    """The objects of one commit and the tree they make. Metadata is checked when it is read.

    Contents are checked while they are written: a node's `chunks` raise StoreError
    ("object-damaged"). Making this raises StoreError ("object-missing", "object-damaged").
    """

    def __init__(self, repository: Path, commit: Sha256) -> None:
        self._objects = Objects(repository)
        #: What `objects/` holds: (checksum, kind) and the node.
        self.objects: dict[tuple[str, str], Node] = {}
        self._data: dict[tuple[str, str], bytes] = {}
        self.commit = commit
        found = self._objects.commit(commit)
        self._read(commit, "commit")
        self._detached(commit)
        self.tree = found.tree
        self.meta = found.meta
        self.root = self._directory(found.tree, found.meta)

    def copy(self, path: str, mtime: int) -> Node:
        """The tree at `path` once more, with inodes of its own; raises KeyError."""
        return _copied(self.root.child(path), mtime)

    def _read(self, checksum: str, kind: str) -> bytes:
        key = (checksum, kind)
        data = self._data.get(key)
        if data is None:
            data = self._data[key] = self._objects.read(checksum, kind)
            if digest(data) != checksum:
                raise _damaged(checksum, kind)
            self.objects[key] = file(data)
        return data

    def _detached(self, commit: str) -> None:
        """Signatures lie beside the commit; nothing names their checksum."""
        if self._objects.has(commit, "commitmeta"):
            self.objects[commit, "commitmeta"] = file(self._objects.read(commit, "commitmeta"))

    def _directory(self, tree: str, meta: str) -> Node:
        data = self._read(tree, "dirtree")
        try:
            content = decode_dirtree(data)
        except (ValueError, IndexError):
            raise _damaged(tree, "dirtree") from None
        if not all(map(_is_name, (*content.files, *content.dirs))):
            raise _damaged(tree, "dirtree")
        self._read(meta, "dirmeta")
        attributes = self._objects.directory_attributes(meta)
        node = Node(attributes.mode, attributes.uid, attributes.gid, xattrs=attributes.xattrs)
        for name, checksum in content.files.items():
            node.entries[name.encode()] = self._named(checksum)
        for name, (child, child_meta) in content.dirs.items():
            node.entries[name.encode()] = self._directory(child, child_meta)
        return node

    def _named(self, checksum: str) -> Node:
        """The node for one more name of an object."""
        key = (checksum, "file")
        node = self.objects.get(key)
        if node is None:
            node = self.objects[key] = object_node(self._objects, checksum)
        # libostree copies empty files, of which a system has thousands with equal owner and mode.
        if (not node.size and not node.is_link) or node.links >= _MOST_NAMES:
            return _copied(node, 0)
        node.links += 1
        return node


def object_node(objects: Objects, checksum: str) -> Node:
    """The node of a file or a symbolic link; raises StoreError ("object-missing", …)."""
    attributes = objects.attributes(checksum)
    path = objects.path(checksum, "file")
    if stat.S_ISLNK(attributes.mode):
        target = objects.read_link(checksum)
        header = full_header(attributes, target.decode())
        if hashlib.sha256(header).hexdigest() != checksum:
            raise _damaged(checksum, "file")
        return _node(attributes, len(target), target, checksum)
    if not stat.S_ISREG(attributes.mode):
        raise _damaged(checksum, "file")
    size = objects.size(checksum)
    source = partial(_content, path, checksum, full_header(attributes), size)
    return _node(attributes, size, source, checksum)


def _is_name(name: str) -> bool:
    """Whether a directory can hold it; others would lead out of the tree that is filled."""
    return name not in ("", ".", "..") and "/" not in name and len(name.encode()) <= 255


def _node(attributes: Attributes, size: int, source: Source, checksum: str) -> Node:
    return Node(
        attributes.mode,
        attributes.uid,
        attributes.gid,
        xattrs=attributes.xattrs,
        size=size,
        source=source,
        object=checksum,
    )


def _content(path: str, checksum: str, header: bytes, size: int) -> Iterator[bytes]:
    """An object's bytes; what fits into one chunk is checked before anybody sees it."""
    found = hashlib.sha256(header)
    left = size
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise StoreError(
            f"the store lost the file object {checksum}", reason="object-missing"
        ) from None
    try:
        while left:
            data = os.read(fd, min(left, _CHUNK))
            if not data:
                break
            found.update(data)
            left -= len(data)
            if not left and found.hexdigest() != checksum:
                raise _damaged(checksum, "file")
            yield data
        if left or (not size and found.hexdigest() != checksum):
            raise _damaged(checksum, "file")
    finally:
        os.close(fd)


def _copied(node: Node, mtime: int) -> Node:
    return Node(
        node.mode,
        node.uid,
        node.gid,
        mtime,
        node.xattrs,
        node.size,
        node.source,
        {name: _copied(child, mtime) for name, child in node.entries.items()},
    )


def _damaged(checksum: str, kind: str) -> StoreError:
    return StoreError(
        f"the {kind} object {checksum} is damaged",
        reason="object-damaged",
        hint="see what else is damaged: dolmen fsck",
    )
