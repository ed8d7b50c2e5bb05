"""Proof of a dependency: the file of one package that cannot do without a file of another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dolmen.environment.commands import chain, files_of, merged
from dolmen.environment.inspect.elf import read_elf
from dolmen.model import LockedPackage

_LIBRARY = re.compile(r"[^/]+\.so(?:\.[^/]*)?")
_SHEBANG = re.compile(rb"#![ \t]*(/[!-~]+)(?:[ \t]+([!-~]+))?")


@dataclass(frozen=True, slots=True)
class Proof:
    """`file` of the one package uses `target` of the other.

    `kind`: "library" (`needs` is the soname in its dynamic section), "interpreter" (`needs` is
    what its first line says) or "link" (`needs` is the link's text).
    """

    kind: str
    file: str
    needs: str
    target: str


class Prover:
    """Looks for proof in one realised tree."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._files = cache(lambda package: frozenset(files_of(tree, package)))

    def proofs(self, package: LockedPackage, needed: LockedPackage) -> Iterator[Proof]:
        """Files of `package` that use files of `needed`, those in bin first."""
        theirs: frozenset[str] = self._files(needed)
        libraries = {
            os.path.basename(path): path for path in sorted(theirs) if _LIBRARY.search(path)
        }
        ours: frozenset[str] = self._files(package)
        for path in sorted(ours, key=lambda path: ("bin/" not in path, path)):
            yield from self._of_file(path, theirs, libraries)

    def _of_file(
        self, path: str, theirs: frozenset[str], libraries: dict[str, str]
    ) -> Iterator[Proof]:
        full = self._tree / path
        try:
            if full.is_symlink():
                # one step only: what is behind is another package's business
                target = chain(self._tree, path)[1]
                if target in theirs:
                    yield Proof("link", path, os.readlink(full), target)
                return
            with full.open("rb") as stream:
                head = stream.read(256)
        except (OSError, IndexError):
            return
        if head.startswith(b"\x7fELF"):
            found = read_elf(full)
            for soname in found.needed if found is not None else ():
                if soname in libraries:
                    yield Proof("library", path, soname, libraries[soname])
        elif head.startswith(b"#!"):
            yield from self._interpreted(path, head, theirs)

    def _interpreted(self, path: str, head: bytes, theirs: frozenset[str]) -> Iterator[Proof]:
        match = _SHEBANG.match(head)
        if match is None:
            return
        name = match[1].decode()
        wanted = merged(name.lstrip("/"))
        if wanted == "usr/bin/env" and match[2]:
            wanted = f"usr/bin/{match[2].decode()}"
        for step in chain(self._tree, wanted):
            if step in theirs:
                yield Proof("interpreter", path, match[0].decode(), step)
                return
