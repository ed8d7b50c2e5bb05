"""A system's commit as a machine shows it, and an ordinary tree, both path by path.

/etc is the commit's /usr/etc; /var and what leads there is what lines of tmpfiles.d make; what
links in /var lead to below /usr/lib/sysimage is shown where the link is.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.store.walk import WalkEntry
from tests.lib.reference import Difference

_TMPFILES = "usr/lib/tmpfiles.d/"
_SYSIMAGE = "usr/lib/sysimage/"
#: Where the machine keeps what an ordinary Debian has at the top and in /usr/local.
_PLACES = {
    **{f"var/{name}": name for name in ("home", "srv", "mnt", "media", "opt")},
    "var/roothome": "root",
    "var/usrlocal": "usr/local",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A path: kinds d, f, l and "other"; permission bits; owner and group by name."""

    kind: str
    mode: int = 0o777
    user: str = "root"
    group: str = "root"
    target: str = ""
    capable: bool = False


def of_tree(root: Path) -> dict[str, Seen]:
    """A directory with true owners."""
    users, groups = (_names((root / f"etc/{name}").read_text()) for name in ("passwd", "group"))
    found: dict[str, Seen] = {}
    for parent, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            user, group = users.get(status.st_uid, "?"), groups.get(status.st_gid, "?")
            mode = stat.S_IMODE(status.st_mode)
            seen = Seen("other", mode, user, group)
            if stat.S_ISLNK(status.st_mode):
                seen = Seen("l", 0o777, user, group, os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                seen = replace(seen, kind="d")
            elif stat.S_ISREG(status.st_mode):
                capable = "security.capability" in os.listxattr(path)
                seen = replace(seen, kind="f", capable=capable)
            found[os.path.relpath(path, root)] = seen
    return found


def of_commit(store: Store, commit: Sha256) -> dict[str, Seen]:
    """A system image after its first start, as far as tmpfiles.d makes it."""
    users = _names(store.file(commit, "usr/etc/passwd").decode())
    groups = _names(store.file(commit, "usr/etc/group").decode())
    entries = {entry.path.lstrip("/"): entry for entry in store.walk(commit)}
    del entries[""]

    def seen(entry: WalkEntry) -> Seen:
        user, group = users.get(entry.uid, "?"), groups.get(entry.gid, "?")
        capable = "security.capability" in entry.xattrs
        return Seen(entry.kind, entry.mode, user, group, entry.target, capable)

    found: dict[str, Seen] = {}
    for path, entry in entries.items():
        if path.startswith("usr/etc"):
            path = path.removeprefix("usr/")
        elif path in _PLACES.values():
            continue
        found[path] = seen(entry)
    for path, words in _lines(store, commit, entries):
        place = _shown(path)
        kind, mode = words[0][0], words[2].lstrip("~:")
        owner = (_name(words[3], users), _name(words[4], groups))
        if kind in "dDqQv":
            found[place] = Seen("d", int(mode, 8) if mode != "-" else 0o755, *owner)
        elif kind in "fF":
            found[place] = Seen("f", int(mode, 8) if mode != "-" else 0o644, *owner)
        elif kind in "CL":
            source = os.path.normpath(os.path.join("/", os.path.dirname(path), words[-1]))[1:]
            inside = [name for name in entries if name == source or name.startswith(f"{source}/")]
            if kind == "L" and not source.startswith(_SYSIMAGE):
                found[place] = Seen("l", target=words[-1])
                continue
            for name in inside:
                found[place + name.removeprefix(source)] = seen(entries[name])
    return found


def differences(theirs: Mapping[str, Seen], ours: Mapping[str, Seen]) -> Iterator[Difference]:
    """What `ours` lacks, has beyond `theirs`, or has of another kind, owner, mode, target."""
    for path in sorted({*theirs, *ours}):
        one, two = theirs.get(path), ours.get(path)
        if one is None or two is None:
            yield Difference("missing" if two is None else "extra", path)
        elif one.kind != two.kind:
            yield Difference("kind", path)
        else:
            if (one.user, one.group) != (two.user, two.group):
                yield Difference("owner", path)
            if one.mode != two.mode:
                yield Difference("mode", path)
            if one.target != two.target:
                yield Difference("target", path)
            if one.capable != two.capable:
                yield Difference("capability", path)


def _lines(
    store: Store, commit: Sha256, entries: Mapping[str, WalkEntry]
) -> Iterator[tuple[str, list[str]]]:
    """Lines of tmpfiles.d for paths in /var, as the machine reads them: the first for each."""
    met: set[str] = set()
    for name in sorted(name for name in entries if name.startswith(_TMPFILES)):
        for line in store.file(commit, name).decode().splitlines():
            words = shlex.split(line, comments=True)
            if len(words) < 2 or not words[1].startswith("/var/"):
                continue
            path = words[1].strip("/")
            if path not in met and words[0][0] in "dDqQvfFCL":
                met.add(path)
                yield path, [*words, *"-----"][: max(len(words), 5)]


def _shown(path: str) -> str:
    for place, name in _PLACES.items():
        if path == place or path.startswith(f"{place}/"):
            return name + path.removeprefix(place)
    return path


def _name(word: str, names: Mapping[int, str]) -> str:
    """The owner that a line of tmpfiles.d(5) names: by name, by number, or root."""
    word = word.lstrip(":")
    if word.isdecimal():
        return names.get(int(word), "?")
    return "root" if word == "-" else word


def _names(text: str) -> dict[int, str]:
    rows = (line.split(":") for line in text.splitlines() if line)
    return {int(row[2]): row[0] for row in rows}
