"""What a trial has changed: packages by dpkg's two status files, and files beside them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dolmen.environment.changes import Change
from dolmen.environment.commands import merged
from dolmen.environment.trials import Trial
from dolmen.environment.trying import OURS
from dolmen.image import read_status
from dolmen.image.normalise import dropped
from dolmen.image.status import EXTENDED_STATES, STATUS
from dolmen.model.installed import Installed

_INFO = "var/lib/dpkg/info"
#: What dpkg, apt and debconf keep of their own; it follows from packages.
_ADMIN = ("var/lib/dpkg/", "var/lib/apt/", "var/cache/", "var/lib/ucf/")
#: Tables of lines that scripts add to: only lines of the trial's own count.
_TABLES = frozenset({"etc/passwd", "etc/group", "etc/subuid", "etc/subgid"})
#: Made from others of their kind, whenever packages come or go.
_GENERATED = frozenset({"etc/ld.so.cache", "etc/shadow", "etc/gshadow"})


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that belongs to no package that came, went or changed; `what`: "added", "changed",
    "removed". `conffile`: a package's configuration, edited."""

    path: str
    what: str
    conffile: bool = False


@dataclass(frozen=True, slots=True)
class LayerChanges:
    """All of it. `requested`: those of `added`, and of what was there, that apt takes for asked for
    by name. `broken`: packages that dpkg has not finished."""

    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    requested: tuple[Installed, ...] = ()
    files: tuple[FileChange, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def packages(self) -> bool:
        """Whether any package came, went or changed, or was asked for anew."""
        return bool(self.added or self.removed or self.changed or self.requested)


def packages_in(tree: Path) -> dict[tuple[str, str], Installed]:
    """What an image has."""
    return read_status(tree / STATUS, tree / EXTENDED_STATES)


def packages_of(trial: Trial) -> dict[tuple[str, str], Installed]:
    """What the trial has now."""
    return read_status(trial.at(STATUS), trial.at(EXTENDED_STATES))


def changes(trial: Trial, *, since: Path | None = None) -> LayerChanges:
    """Read a trial that is at rest; nothing is written. Raises OSError.

    `since`: the tree whose packages to compare with (None: the one below the layer, where apt may
    have been added).
    """
    before, after = packages_in(since or trial.tree), packages_of(trial)
    added = [p for key, p in sorted(after.items()) if key not in before]
    removed = [p for key, p in sorted(before.items()) if key not in after]
    moved = [
        (before[key], p)
        for key, p in sorted(after.items())
        if key in before and before[key].version != p.version
    ]
    requested = [p for p in added if not p.automatic]
    requested += [
        p
        for key, p in sorted(after.items())
        if key in before and before[key].automatic and not p.automatic
    ]
    theirs = {path for p in added for path in _files(trial.at, p)}
    theirs |= {path for p in removed for path in _files(lambda path: trial.tree / path, p)}
    for old, new in moved:
        theirs.update(_files(lambda path: trial.tree / path, old))
        theirs.update(_files(trial.at, new))
    return LayerChanges(
        added=tuple(_change(None, p) for p in added),
        removed=tuple(_change(p, None) for p in removed),
        changed=tuple(_change(old, new) for old, new in moved),
        requested=tuple(requested),
        files=tuple(_file_changes(trial, theirs, after)),
        broken=tuple(
            f"{p.name}: {p.state}" for _, p in sorted(after.items()) if p.state != "installed"
        ),
    )


def left_out(trial: Trial, files: tuple[FileChange, ...], tree: Path) -> tuple[FileChange, ...]:
    """Those of the changed files that the image at `tree` does not have as the trial has them."""
    return tuple(file for file in files if not _has(trial, file.path.lstrip("/"), tree))


def is_share(trial: Trial, path: str) -> bool:
    """Whether a path (with a leading slash) is only there because something was shown at it."""
    for share in trial.shares:
        if path == share:
            return True
        if share.startswith(f"{path}/") and not os.path.lexists(trial.tree / path.lstrip("/")):
            try:
                names = os.listdir(trial.upper / path.lstrip("/"))
            except (FileNotFoundError, NotADirectoryError):
                return False
            if all(is_share(trial, f"{path}/{name}") for name in names):
                return True
    return False


def drop(trial: Trial, path: str) -> bool:
    """What is no part of the layer: apt's sources and options of ours, and mount points."""
    return path.lstrip("/") in OURS or is_share(trial, path)


def _file_changes(
    trial: Trial, theirs: set[str], after: Mapping[tuple[str, str], Installed]
) -> Iterator[FileChange]:
    conffiles = {path: md5 for p in after.values() for path, md5 in p.conffiles.items()}
    for path, status in _walk(trial, trial.upper, ""):
        known = f"/{path}"
        below = trial.tree / path
        there = os.path.lexists(below)
        if path.startswith(_ADMIN):
            continue
        if stat.S_ISDIR(status.st_mode):
            if there and _attribute(trial.upper / path, "opaque"):
                for gone in _hidden(trial, path):
                    if gone not in theirs:
                        yield FileChange(f"/{gone}", "removed")
            continue
        if known in conffiles:
            if not stat.S_ISREG(status.st_mode) or _md5(trial.upper / path) != conffiles[known]:
                yield FileChange(known, "changed" if there else "added", conffile=True)
        elif path in theirs or path in _GENERATED or "/__pycache__/" in path:
            continue
        elif _is_whiteout(trial.upper / path, status):
            if there:
                yield FileChange(known, "removed")
        else:
            yield FileChange(known, "changed" if there else "added")


def _walk(trial: Trial, top: Path, below: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(top) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{below}{entry.name}"
        if dropped(f"/{path}") or drop(trial, f"/{path}"):
            continue
        status = entry.stat(follow_symlinks=False)
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(trial, Path(entry.path), f"{path}/")


def _is_whiteout(path: Path, status: os.stat_result) -> bool:
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return True
    empty = stat.S_ISREG(status.st_mode) and status.st_size == 0
    return empty and _attribute(path, "whiteout")


def _attribute(path: Path, name: str) -> bool:
    try:
        os.getxattr(path, f"user.overlay.{name}", follow_symlinks=False)
    except OSError:
        return False
    return True


def _hidden(trial: Trial, path: str) -> Iterator[str]:
    """The files of the image that a directory, made anew in its place, does not have."""
    for directory, _, names in os.walk(trial.tree / path):
        for name in sorted(names):
            relative = os.path.relpath(os.path.join(directory, name), trial.tree)
            if not os.path.lexists(trial.upper / relative):
                yield relative


def _has(trial: Trial, path: str, tree: Path) -> bool:
    mine, other = trial.upper / path, tree / path
    try:
        status = mine.lstat()
    except OSError:  # removed with its directory
        return not os.path.lexists(other)
    if _is_whiteout(mine, status):
        return not os.path.lexists(other)
    try:
        theirs = other.lstat()
    except OSError:
        return False
    if stat.S_IFMT(status.st_mode) != stat.S_IFMT(theirs.st_mode):
        return False
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(mine) == os.readlink(other)
    if not stat.S_ISREG(status.st_mode):
        return True
    if path in _TABLES:
        known = {*_lines(other), *_lines(trial.tree / path)}
        return all(line in known for line in _lines(mine))
    return status.st_size == theirs.st_size and mine.read_bytes() == other.read_bytes()


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _files(at: Callable[[str], Path], package: Installed) -> Iterator[str]:
    for name in (package.name, f"{package.name}:{package.architecture}"):
        try:
            text = at(f"{_INFO}/{name}.list").read_text(errors="surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            continue
        yield from (merged(line[1:]) for line in text.splitlines())
        return


def _change(before: Installed | None, after: Installed | None) -> Change:
    package = after or before
    assert package is not None
    return Change(
        package.name,
        package.architecture,
        before.version if before else None,
        after.version if after else None,
        not package.automatic,
    )
