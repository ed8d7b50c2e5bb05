"""What the passes share: the tree in the making, and what was declared."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dolmen.model import Lock
from dolmen.model.system import System
from dolmen.store.builder import TreeBuilder
from dolmen.support.errors import DeclarationError


@dataclass(slots=True)
class Construction:
    """One system image in the making.

    `beside`: contents of the files that the manifest names, and its own, by their path from there.
    `program`: Dolmen's own files, sorted. `tmpfiles`: lines for /usr/lib/tmpfiles.d, by path, which
    the passes add to.
    """

    builder: TreeBuilder
    lock: Lock
    system: System
    beside: Mapping[str, bytes] = field(default_factory=dict)
    program: Mapping[str, bytes] = field(default_factory=dict)
    tmpfiles: dict[str, str] = field(default_factory=dict)
    kernel: str = ""

    def text(self, path: str) -> str:
        """A text file of the tree, empty where there is none."""
        found = self.builder.read(path)
        return "" if found is None else found.decode(errors="surrogateescape")

    def write(
        self, path: str, content: str, *, mode: int = 0o644, uid: int = 0, gid: int = 0
    ) -> None:
        """Put a text file into the tree."""
        data = content.encode(errors="surrogateescape")
        self.builder.add_file(path, data, mode=mode & 0o777)
        if uid or gid or mode & 0o7000:
            self.builder.give(path, mode, uid, gid)

    def rewrite(self, path: str, content: str) -> None:
        """Change a text file of the tree, keeping owner and mode."""
        before = self.builder.attributes(path)
        if before is None:
            self.write(path, content)
        elif self.text(path) != content:
            self.write(path, content, mode=before.permissions, uid=before.uid, gid=before.gid)

    def names(self, directory: str) -> list[str]:
        """The names directly below a directory."""
        return self.builder.names(directory)

    def has(self, path: str) -> bool:
        """Whether something is there, links not followed."""
        return self.builder.attributes(path) is not None

    def resolve(self, path: str) -> str | None:
        """Where a path leads in the tree, links followed; None where it ends."""
        left = [part for part in path.split("/") if part]
        here: list[str] = []
        for _ in range(200):
            if not left:
                return "/".join(here)
            part = left.pop(0)
            if part == "..":
                del here[-1:]
                continue
            if part == ".":
                continue
            at = "/".join((*here, part))
            found = self.builder.find(at)
            if found is None:
                if not self.builder.has_directory(at):
                    return None
                here.append(part)
                continue
            target = self.builder.link_target(found)
            if target is None:
                return posixpath.normpath(at) if not left else None
            left = [word for word in target.split("/") if word] + left
            if target.startswith("/"):
                here = []
        return None

    def packages(self, *names: str) -> bool:
        """Whether the lock has one of these."""
        return any(self.lock.find(name) is not None for name in names)


def unknown(what: str, paths: Sequence[str], *, reason: str, hint: str) -> DeclarationError:
    """Something that no rule knows: the build stops, by name."""
    return DeclarationError(
        f"{what}: {paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else ""),
        reason=reason,
        details=list(paths[:20]),
        hint=hint,
    )


def rows(text: str) -> Iterator[list[str]]:
    """The fields of passwd(5), group(5), shadow(5)."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            yield line.split(":")


def quoted(text: str) -> str:
    """A word of tmpfiles.d(5) or sysusers.d(5)."""
    return json.dumps(text, ensure_ascii=False)
