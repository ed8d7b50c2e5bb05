"""Is what a commit names there, and is it what its names promise?

Every object is read and hashed again, at the speed of the disk; nothing is changed. Needed before
a suspicious image is used: a hard-link checkout of a damaged object is as damaged, and importing
again does not heal what has a name already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dolmen.store.examining import examine
from dolmen.store.objects import Objects, decode_commit, decode_dirtree, digest
from dolmen.support.errors import StoreError

_TOLD = ("missing", "content", "mode")


@dataclass(frozen=True, slots=True)
class Damage:
    """One bad object: where the commit has it, and which it is.

    `what`: "missing", "content" (it hashes to something else), or "mode" (the permission bits of
    its file were changed, and with them those of every realised tree).
    """

    path: str
    checksum: str
    kind: str
    what: str


def check(objects: Objects, commit: str) -> Iterator[Damage]:
    """Every damage that a commit suffers from; each object is read once."""
    yield from _Check(objects).commit(commit)


class _Check:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._seen: dict[str, str] = {}

    def commit(self, checksum: str) -> Iterator[Damage]:
        what, data = self._metadata(checksum, "commit")
        if what:
            yield Damage("/", checksum, "commit", what)
            return
        root = decode_commit(data)
        yield from self._directory(root.tree, root.meta, "")

    def _directory(self, tree: str, meta: str, path: str) -> Iterator[Damage]:
        what, _ = self._metadata(meta, "dirmeta")
        if what:
            yield Damage(path or "/", meta, "dirmeta", what)
        what, data = self._metadata(tree, "dirtree")
        if what:
            yield Damage(path or "/", tree, "dirtree", what)
            return
        content = decode_dirtree(data)
        for name, checksum in sorted(content.files.items()):
            if checksum not in self._seen:
                self._seen[checksum] = self._file(checksum)
            if what := self._seen[checksum]:
                yield Damage(f"{path}/{name}", checksum, "file", what)
        for name, (child, child_meta) in sorted(content.dirs.items()):
            yield from self._directory(child, child_meta, f"{path}/{name}")

    def _metadata(self, checksum: str, kind: str) -> tuple[str, bytes]:
        try:
            data = self._objects.read(checksum, kind)
        except StoreError:
            return "missing", b""
        except OSError:
            return "content", b""
        return ("" if digest(data) == checksum else "content"), data

    def _file(self, checksum: str) -> str:
        what = examine(self._objects, checksum, "file")
        return what if what in _TOLD else ""
