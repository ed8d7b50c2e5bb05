"""A commit as the rules see it: every path at once, contents when asked for."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.store.walk import WalkEntry


@dataclass(slots=True)
class Tree:
    """Paths are relative ("usr/bin/x"); `metadata` is the commit's."""

    store: Store
    entries: Mapping[str, WalkEntry]
    metadata: Mapping[str, object]
    _children: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, commit: Sha256) -> Tree:
        """Read all names of a commit."""
        entries = {entry.path[1:]: entry for entry in store.walk(commit)}
        tree = cls(store, entries, store.metadata(commit))
        for path in entries:
            if path:
                tree._children.setdefault(posixpath.dirname(path), []).append(path)
        return tree

    def names(self, directory: str) -> list[str]:
        """The names directly in a directory."""
        return [posixpath.basename(path) for path in self._children.get(directory, ())]

    def below(self, directory: str) -> Iterator[WalkEntry]:
        """Everything below a directory."""
        for path in self._children.get(directory, ()):
            yield self.entries[path]
            yield from self.below(path)

    def kind(self, path: str) -> str:
        """d, f, l, or "" where there is nothing."""
        entry = self.entries.get(path)
        return entry.kind if entry else ""

    def target(self, path: str) -> str:
        """Where a link points to, "" for anything else."""
        entry = self.entries.get(path)
        return entry.target if entry else ""

    def content(self, path: str) -> bytes:
        """A file's content, empty where there is none."""
        entry = self.entries.get(path)
        if entry is None or entry.kind != "f":
            return b""
        return self.store.read_object(entry.checksum)

    def text(self, path: str) -> str:
        """The same as text."""
        return self.content(path).decode(errors="surrogateescape")

    def tables(self, directory: str) -> Iterator[tuple[str, list[str]]]:
        """File name and words of each line that says something in a directory of `.conf` files."""
        for name in sorted(self.names(directory)):
            if name.endswith(".conf"):
                for line in self.text(f"{directory}/{name}").splitlines():
                    words = line.split()
                    if words and not words[0].startswith("#"):
                        yield name, words

    def leads(self, path: str, *, made: Mapping[str, str] | None = None) -> bool:
        """Whether a path ends at something, links followed; `made`: what there will be besides."""
        for _ in range(40):
            if self.kind(path) in ("d", "f") or (made and f"/{path}" in made):
                return True
            if self.kind(path) != "l":
                parent = posixpath.dirname(path)
                while parent and self.kind(parent) != "l":
                    parent = posixpath.dirname(parent)
                if not parent:
                    return False
                path = _joined(parent, self.target(parent)) + path[len(parent) :]
                continue
            path = _joined(path, self.target(path))
        return False


def _joined(link: str, target: str) -> str:
    """Where a link at `link` points, from the root."""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(link), target)).lstrip("/")
