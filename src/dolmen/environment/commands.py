"""Which commands of an image get a launcher on the host's PATH.

Those of the packages outside the base (the Essential closure), which the host has in its own
version and which scripts in the directory expect to be the host's; and those of packages that were
asked for by name. Alternatives (`java`, `vi`, `awk`, `c++`) count as commands of the package that
their link leads to. Commands of Essential packages (`ls`, `sh`, `env`) are never offered: a PATH
that replaces them breaks every script on the host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dolmen.model import Lock, LockedPackage

#: In the order of PATH: the first directory that has a name wins.
DIRECTORIES = ("usr/bin", "usr/sbin", "usr/games")

#: Debian Policy 10.1 wants nothing else; a name with a control character or a leading dash could
#: do harm in a shell or on a terminal.
_NAME = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.+@:,=~^\[-]*")
_MERGED = ("bin/", "sbin/")
_ALTERNATIVES = "etc/alternatives/"


def commands(tree: Path, lock: Lock) -> tuple[str, ...]:
    """The names to offer, sorted; read from the image's own dpkg database and directories."""
    from dolmen.image.closure import base_packages

    base = {p.key for p in base_packages(lock)}
    wanted: set[str] = set()
    essential: set[str] = set()
    for package in lock.packages:
        if package.essential:
            essential.update(_owned(tree, package))
        elif package.requested or package.key not in base:
            wanted.update(_owned(tree, package))
    forbidden = {os.path.basename(path) for path in essential}
    found: set[str] = set()
    for directory in DIRECTORIES:
        for entry in _entries(tree / directory):
            name = entry.name
            if name in found or name in forbidden or not _NAME.fullmatch(name):
                continue
            path = f"{directory}/{name}"
            if _leads_to(tree, path, wanted) and _executable(tree, path):
                found.add(name)
    return tuple(sorted(found))


def _owned(tree: Path, package: LockedPackage) -> Iterator[str]:
    """A package's paths below the command directories, in the merged spelling (usrmerge)."""
    info = tree / "var/lib/dpkg/info"
    for name in (package.name, f"{package.name}:{package.architecture}"):
        try:
            text = (info / f"{name}.list").read_text(errors="surrogateescape")
        except FileNotFoundError:
            continue
        for line in text.splitlines():
            path = line[1:]
            if path.startswith(_MERGED):
                path = f"usr/{path}"
            if path.startswith(tuple(f"{d}/" for d in DIRECTORIES)):
                yield path
        return


def _leads_to(tree: Path, path: str, wanted: Iterable[str]) -> bool:
    """Whether a path is one of `wanted`, itself or through the alternatives system."""
    for _ in range(8):
        if path in wanted:
            return True
        try:
            target = os.readlink(tree / path)
        except OSError:
            return False
        target = os.path.normpath(os.path.join("/", os.path.dirname(path), target)).lstrip("/")
        if target.startswith(_MERGED):
            target = f"usr/{target}"
        path = target
    return False


def _executable(tree: Path, path: str) -> bool:
    """Whether a path, followed inside the tree, ends at an executable file."""
    for _ in range(16):
        try:
            target = os.readlink(tree / path)
        except OSError:
            break
        path = os.path.normpath(os.path.join("/", os.path.dirname(path), target)).lstrip("/")
    full = tree / path
    return full.is_file() and os.stat(full).st_mode & 0o111 != 0


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
