"""How an image becomes a root directory: the bubblewrap options that depend only on the tree.

The root is a tmpfs on which the image's top-level directories are bound read-only, so that a host
directory of any name can be shown beside them. /var is scratch: what holds files in the image is
bound read-only one level below /var/lib, /var/cache and so on; directories without any file are
made anew, writable (a database's empty data directory, apt's lists).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

#: Made by the launcher, whatever the image has there.
_RUNTIME = frozenset({"dev", "proc", "sys", "run", "tmp"})
#: Empty in an image; the launcher may bind the host's.
_EMPTY = frozenset({"home", "root", "mnt", "media", "boot", "lost+found"})
#: Bound child by child, so that host directories can be shown beside them.
_OPEN = frozenset({"opt", "srv"})
_STICKY = frozenset({"/var/tmp", "/var/lock", "/var/crash"})
#: Scratch of its own kind: what these hold in an image means nothing later.
_FORGOTTEN = frozenset({"/var/tmp", "/var/log", "/var/backups"})
#: Read-only although empty: `gem install` would succeed here and its gems be gone a moment later.
#: Whoever wants them kept says so (`persist`), or installs them below $HOME or the project.
_LOUD = frozenset({"/var/lib/gems"})


def tree_options(tree: Path) -> list[str]:
    """Options that mount `tree` (absolute) as /, without /dev, /proc, /sys, /run, /tmp.

    Raises OSError where the tree cannot be read.
    """
    options: list[str] = []
    for name in sorted(os.listdir(tree)):
        if name in _RUNTIME:
            continue
        inside = f"/{name}"
        path = tree / name
        if name in _EMPTY:
            options += ["--dir", inside]
        elif name == "var" and not path.is_symlink():
            options += ["--tmpfs", inside, *_var(path)]
        elif name in _OPEN and not path.is_symlink():
            options += ["--dir", inside]
            for child in sorted(os.listdir(path)):
                options += _show(path / child, f"{inside}/{child}")
        else:
            options += _show(path, inside)
    return options


def _var(var: Path) -> Iterator[str]:
    for name in sorted(os.listdir(var)):
        inside = f"/var/{name}"
        path = var / name
        if path.is_symlink() or not path.is_dir():
            yield from _show(path, inside)
            continue
        if inside in _STICKY:
            yield from ("--perms", "1777")
        yield from ("--dir", inside)
        if inside in _FORGOTTEN and inside != "/var/log":
            continue
        for child in sorted(os.listdir(path)):
            if inside == "/var/log" and not (path / child).is_dir():
                continue
            yield from _scratch_or_show(path / child, f"{inside}/{child}")


def _scratch_or_show(path: Path, inside: str) -> Iterator[str]:
    if path.is_symlink() or not path.is_dir():
        yield from _show(path, inside)
        return
    directories = _directories_without_files(path)
    if directories is None or inside in _LOUD:
        yield from _show(path, inside)
        return
    for directory in directories:
        yield from ("--dir", f"{inside}/{directory}" if directory else inside)


def _directories_without_files(top: Path) -> list[str] | None:
    """The relative paths of all directories, "" first; None when there is anything else."""
    found: list[str] = []
    for directory, _names, files in os.walk(top):
        if files or any(os.path.islink(os.path.join(directory, name)) for name in _names):
            return None
        relative = os.path.relpath(directory, top)
        found.append("" if relative == "." else relative)
    return sorted(found)


def _show(path: Path, inside: str) -> list[str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return ["--symlink", os.readlink(path), inside]
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        return ["--ro-bind", str(path), inside]
    return []


def has_regular(tree: Path, inside: str) -> bool:
    """Whether the tree has a regular file at that path, with no symbolic link in it."""
    path = tree
    for part in inside.strip("/").split("/"):
        path = path / part
        if path.is_symlink():
            return False
    return path.is_file()


def has_locales(tree: Path) -> bool:
    """Whether the image has locales besides C, POSIX and C.UTF-8 (locales(7) of Debian)."""
    directory = tree / "usr/lib/locale"
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    return any(name.lower() not in {"c.utf8", "c.utf-8"} for name in names)


def inner_path(tree: Path, inside: str) -> Path | None:
    """Where a path of the image lies outside, links followed as they lead inside; None: nowhere."""
    waiting = [part for part in reversed(inside.split("/")) if part]
    path, hops = tree, 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            path = tree if path == tree else path.parent
            continue
        path = path / part
        if path.is_symlink():
            hops += 1
            target = os.readlink(path)
            if hops > 40:
                return None
            path = tree if target.startswith("/") else path.parent
            waiting += [one for one in reversed(target.split("/")) if one not in ("", ".")]
    return path if path.exists() else None
