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
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from dolmen.model import Lock, LockedPackage

#: In the order of PATH: the first directory that has a name wins.
DIRECTORIES = ("usr/bin", "usr/sbin", "usr/games")

#: Debian Policy 10.1 wants nothing else; a name with a control character or a leading dash could
#: do harm in a shell or on a terminal.
_NAME = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.+@:,=~^\[-]*")
#: Where the image's own PATH looks.
_PLACES = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "usr/games", "usr/local/games")
_ALIASED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")


def commands(tree: Path, lock: Lock) -> tuple[str, ...]:
    """The names to offer, sorted; read from the image's own dpkg database and directories."""
    from dolmen.image import base_packages

    paths: dict[str, tuple[str, ...]] = {}
    for directory in DIRECTORIES:
        for entry in _entries(tree / directory):
            if entry.name not in paths and _NAME.fullmatch(entry.name):
                paths[entry.name] = chain(tree, f"{directory}/{entry.name}")
    ends = {path for chain in paths.values() for path in chain}
    base = {p.key for p in base_packages(lock)}
    wanted: set[str] = set()
    forbidden: set[str] = set()
    for package in lock.packages:
        if package.essential:
            forbidden.update(os.path.basename(path) for path in owned(tree, package, ends))
        elif package.requested or package.key not in base:
            wanted.update(owned(tree, package, ends))
    return tuple(
        sorted(
            name
            for name, chain in paths.items()
            if name not in forbidden
            and any(path in wanted for path in chain)
            and _executable(tree / chain[-1])
        )
    )


def owned(tree: Path, package: LockedPackage, ends: Collection[str]) -> Iterator[str]:
    """Those of the paths in `ends` that a package has, in the merged spelling (usrmerge)."""
    return (path for path in files_of(tree, package) if path in ends)


def files_of(tree: Path, package: LockedPackage) -> Iterator[str]:
    """The paths that a package has in an image, directories too, in the merged spelling."""
    info = tree / "var/lib/dpkg/info"
    for name in (package.name, f"{package.name}:{package.architecture}"):
        try:
            text = (info / f"{name}.list").read_text(errors="surrogateescape")
        except FileNotFoundError:
            continue
        yield from (merged(line[1:]) for line in text.splitlines())
        return


def chain(tree: Path, path: str) -> tuple[str, ...]:
    """A path, and where it leads inside the tree, link by link (as far as the last component)."""
    chain = [path]
    for _ in range(16):
        try:
            target = os.readlink(tree / path)
        except OSError:
            break
        target = os.path.normpath(os.path.join("/", os.path.dirname(path), target))
        path = merged(target.lstrip("/"))
        chain.append(path)
    return tuple(chain)


def merged(path: str) -> str:
    """A relative path in the spelling of a merged /usr."""
    return f"usr/{path}" if path.startswith(_ALIASED) else path


def _executable(path: Path) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and mode & 0o111 != 0


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def has_command(tree: Path, command: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a command will be found inside; the sh front asks the same (`_dolmen_has`).

    In the image, or in the directories of PATH below the home directory, which it shares with the
    host. Links count: an absolute one (an alternative) leads nowhere from outside.
    """
    if "/" in command:
        return True
    environ = os.environ if environ is None else environ
    for place in _PLACES:
        path = tree / place / command
        if path.is_symlink() or os.access(path, os.X_OK):
            return True
    home = environ.get("HOME") or "/nonexistent"
    return any(
        os.access(os.path.join(directory, command), os.X_OK)
        for directory in environ.get("PATH", "").split(":")
        if directory.startswith(f"{home}/") and "/.dolmen/" not in directory
    )
