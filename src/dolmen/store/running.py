"""Which realised trees the processes of this host use, read from /proc (proc(5)).

Inside a sandbox the tree is bound at `/`, so a program's own paths do not show it; its mount table
does, by the path within the file system. The rest (exe, cwd, root, descriptors, maps, arguments,
variables) catches whoever uses a tree without a sandbox. What belongs to other users cannot be
read by an ordinary user; their processes cannot enter a store that is not theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_TREE = re.compile(rb"trees/(?:\.gone\.)?([0-9a-f]{64})(?![0-9a-f])")
_QUARANTINE = re.compile(rb"quarantine/([0-9a-f]{12})(?![0-9a-f])")
_TEXTS = ("maps", "cmdline", "environ")
_LINKS = ("exe", "cwd", "root")


def trees_in_use(proc: Path = Path("/proc")) -> frozenset[str]:
    """The root checksums of all trees, of whatever store, that some process uses."""
    return _found(_TREE, proc)


def _found(pattern: re.Pattern[bytes], proc: Path) -> frozenset[str]:
    found: set[bytes] = set()
    namespaces: set[str] = set()
    own = str(os.getpid())
    for name in os.listdir(proc):
        if name.isdigit() and name != own:
            for text in _traces(os.path.join(proc, name), namespaces):
                found.update(pattern.findall(text))
    return frozenset(checksum.decode() for checksum in found)


def quarantines_in_use(proc: Path = Path("/proc")) -> frozenset[str]:
    """The names of what repairs have put aside, of whatever store, that some process uses."""
    return _found(_QUARANTINE, proc)


def _traces(directory: str, namespaces: set[str]) -> Iterator[bytes]:
    for name in _LINKS:
        yield _link(f"{directory}/{name}")
    namespace = os.fsdecode(_link(f"{directory}/ns/mnt"))
    # Most processes share one mount table: it is read once.
    if not namespace or namespace not in namespaces:
        namespaces.add(namespace)
        yield _text(f"{directory}/mountinfo")
    for name in _TEXTS:
        yield _text(f"{directory}/{name}")
    try:
        descriptors = os.listdir(f"{directory}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        yield _link(f"{directory}/fd/{descriptor}")


def _link(path: str) -> bytes:
    try:
        return os.fsencode(os.readlink(path))
    except OSError:
        return b""


def _text(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:  # ended meanwhile, or somebody else's
        return b""
