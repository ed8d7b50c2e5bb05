"""/etc against what the image brings as /usr/etc, and what an upgrade's three-way merge does to it.

libostree's merge (ostree-sysroot-deploy.c, merge_configuration_from) takes the new image's /usr/etc
and puts over it every path that was added, changed or removed here, whole. Where the new image has
changed such a path too, the local one wins without a word: that is a conflict, and told here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.support.errors import MachineError, UsageError
from dolmen.support.files import sync_directory, write_atomic

_MAX_TEXT = 256 << 10
#: This machine's own from the first start on; never thrown away with a directory.
_OURS = frozenset(
    {
        *("machine-id", "passwd", "group", "shadow", "gshadow", "subuid", "subgid", "fstab"),
        *("passwd-", "group-", "shadow-", "gshadow-", ".pwd.lock", ".updated", "adjtime"),
        *("hostname", "resolv.conf"),
    }
)


@dataclass(frozen=True, slots=True)
class EtcChange:
    """A path of /etc that is not as the image has it.

    `change`: "added", "modified" or "removed" here. `image`: what the other image does to the same
    path, "added", "modified", "removed" or "": not "" is a conflict. `patch`: lines of a diff.
    """

    path: str
    change: str
    image: str = ""
    patch: tuple[str, ...] = ()

    @property
    def is_conflict(self) -> bool:
        """Whether an image and this machine have changed the same path in different ways."""
        return bool(self.image)


@dataclass(frozen=True, slots=True)
class EtcDifference:
    """All changes of a deployment's /etc. `against`: the deployment whose image may conflict: the
    pending one, else the one before; its version, or ""."""

    version: str
    against: str
    pending: bool
    changes: tuple[EtcChange, ...]


def etc_difference(
    sysroot: Sysroot, paths: Sequence[str] = (), *, patches: bool = False
) -> EtcDifference:
    """What was changed in /etc, and where the pending image (or this one, when it came) disagrees.

    `paths`: only these and what is below them. Raises MachineError ("no-deployment"), UsageError.
    """
    names = [_relative(path) for path in paths]
    own = sysroot.own()
    current = sysroot.current()
    if current is None:
        raise MachineError(
            "this sysroot has no deployment yet",
            reason="no-deployment",
            hint="dolmen system deploy REF",
        )
    place = own.index(current)
    pending = own[0] if place > 0 else None
    other = pending or (own[place + 1] if place + 1 < len(own) else None)
    here, default = live_etc(sysroot, current), current.path / "usr/etc"
    changes = []
    for path, change in _changes(default, here):
        if names and not any(path == one or f"{path}/".startswith(f"{one}/") for one in names):
            continue
        image = ""
        if other is not None:
            theirs = other.path / "usr/etc"
            before, after = (default, theirs) if pending is not None else (theirs, default)
            image = _compare(before / path, after / path)
            # Both came to the same.
            if image and not _compare(after / path, here / path):
                image = ""
        patch = tuple(_patch(default / path, here / path, path)) if patches else ()
        changes.append(EtcChange(f"/etc/{path}", change, image, patch))
    return EtcDifference(
        current.version, other.version if other else "", pending is not None, tuple(changes)
    )


def reset_etc(sysroot: Sysroot, paths: Sequence[str], *, added: bool = False) -> tuple[str, ...]:
    """Make paths of /etc what the image has again; returns those that were not.

    A directory stands for what was changed below it; what was added there stays unless `added`, and
    what is this machine's own (accounts, machine-id, …) unless it is named itself. Raises
    UsageError, MachineError ("etc-link").
    """
    with sysroot.changing():
        current = sysroot.current()
        if current is None:
            raise MachineError(
                "this sysroot has no deployment yet",
                reason="no-deployment",
                hint="dolmen system deploy REF",
            )
        here, default = live_etc(sysroot, current), current.path / "usr/etc"
        names = [_relative(path) for path in paths]
        wanted = []
        # What is below comes before what holds it, so that added directories are empty by then.
        for path, change in sorted(_changes(default, here), reverse=True):
            below = any(name == "" or path.startswith(f"{name}/") for name in names)
            kept = (change == "added" and not added) or path.partition("/")[0] in _OURS
            if path in names or (below and not kept):
                wanted.append(path)
        for path in wanted:
            link = _behind(here, path)
            if link is None:
                _restore(default / path, here / path)
            elif link not in wanted:  # else it is made a directory with all in it
                raise MachineError(
                    f"/etc/{path} lies behind a link",
                    reason="etc-link",
                    context=f"/etc/{link} -> {os.readlink(here / link)}",
                    hint=f"dolmen system reset-etc /etc/{link}",
                )
        return tuple(sorted(f"/etc/{path}" for path in wanted))


def live_etc(sysroot: Sysroot, deployment: Deployment) -> Path:
    """The /etc that is in use: of a running system what it sees, whatever lies over it."""
    return Path("/etc") if deployment.booted else deployment.path / "etc"


def _changes(default: Path, here: Path) -> Iterator[tuple[str, str]]:
    """Paths that differ, relative and sorted; below an added or removed directory too."""
    if not here.is_dir() or not default.is_dir():
        return
    waiting = [""]
    found: list[tuple[str, str]] = []
    while waiting:
        directory = waiting.pop()
        ours, theirs = _names(here / directory), _names(default / directory)
        for name in ours | theirs:
            path = f"{directory}/{name}" if directory else name
            change = _compare(default / path, here / path)
            if change:
                found.append((path, change))
            if _is_directory(here / path) or _is_directory(default / path):
                waiting.append(path)
    yield from sorted(found)


def _names(directory: Path) -> set[str]:
    return set(os.listdir(directory)) if _is_directory(directory) else set()


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _compare(before: Path, after: Path) -> str:
    """ "added", "removed", "modified" or ""; as libostree compares, without times and xattrs."""
    old, new = _status(before), _status(after)
    if old is None and new is None:
        return ""
    if old is None or new is None:
        return "added" if old is None else "removed"
    if (old.st_mode, old.st_uid, old.st_gid) != (new.st_mode, new.st_uid, new.st_gid):
        return "modified"
    if stat.S_ISLNK(old.st_mode):
        return "" if os.readlink(before) == os.readlink(after) else "modified"
    if stat.S_ISREG(old.st_mode):
        same = old.st_size == new.st_size and before.read_bytes() == after.read_bytes()
        return "" if same else "modified"
    return ""


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _patch(before: Path, after: Path, path: str) -> Iterator[str]:
    import difflib

    old, new = _text(before), _text(after)
    if old is not None and new is not None:
        yield from difflib.unified_diff(
            old.splitlines(),
            new.splitlines(),
            f"usr/etc/{path}" if before.exists() else "/dev/null",
            f"etc/{path}" if after.exists() else "/dev/null",
            lineterm="",
        )


def _text(path: Path) -> str | None:
    status = _status(path)
    if status is None:
        return ""
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_TEXT:
        return None
    # Passwords are nobody's business.
    if not status.st_mode & 0o004:
        return None
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _relative(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/etc") or parts[:1] != ["etc"] or ".." in parts:
        raise UsageError(f"{path[:100]!r} is no path below /etc", hint="dolmen system etc-diff")
    return "/".join(parts[1:])


def _behind(here: Path, path: str) -> str | None:
    """The first link on the way to a path."""
    parts = path.split("/")[:-1]
    ways = ("/".join(parts[: number + 1]) for number in range(len(parts)))
    return next((way for way in ways if (here / way).is_symlink()), None)


def _restore(default: Path, here: Path) -> None:
    status = _status(default)
    now = _status(here)
    if status is None:
        if now is not None and stat.S_ISDIR(now.st_mode):
            if not os.listdir(here):
                here.rmdir()
        else:
            here.unlink(missing_ok=True)
        return
    if now is not None and stat.S_IFMT(now.st_mode) != stat.S_IFMT(status.st_mode):
        if stat.S_ISDIR(now.st_mode):
            from dolmen.support.files import remove_tree

            remove_tree(here)
        else:
            here.unlink()
    here.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(status.st_mode):
        here.mkdir(exist_ok=True)
        os.chown(here, status.st_uid, status.st_gid)
        here.chmod(stat.S_IMODE(status.st_mode))
        for name in os.listdir(default):
            if not (here / name).exists() and not (here / name).is_symlink():
                _restore(default / name, here / name)
    elif stat.S_ISLNK(status.st_mode):
        temporary = here.with_name(f".{here.name}.{os.urandom(4).hex()}")
        temporary.symlink_to(os.readlink(default))
        temporary.rename(here)
        os.lchown(here, status.st_uid, status.st_gid)
        sync_directory(here.parent)
    elif stat.S_ISREG(status.st_mode):
        write_atomic(here, default.read_bytes(), mode=0o600)
        os.chown(here, status.st_uid, status.st_gid)
        here.chmod(stat.S_IMODE(status.st_mode))
