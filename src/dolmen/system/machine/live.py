"""`apply-live`: what a pending deployment only adds becomes visible in the running system.

Safe means: packages were added and nothing else; no file that runs or is read now is replaced or
goes, but for databases that are read anew each time. Then the running /usr gets a writable layer
(as `unlock` makes it, forgotten at the next start) and the added files are put there. The pending
deployment stays what is started next, and has them for good.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.support.errors import HostError, MachineError
from dolmen.support.run import run
from dolmen.system.machine import packages
from dolmen.system.machine.changes import unlock
from dolmen.system.machine.packages import PackageChange

#: Files that describe what is installed, made anew from all of it; nothing holds an old one.
_DERIVED = re.compile(
    r"(lib/sysimage|share/dolmen|lib/dolmen|etc)/.*"
    r"|lib/(sysusers\.d|tmpfiles\.d)/00-dolmen\.conf|lib/systemd/system-preset/00-dolmen\.preset"
    r"|share/(mime|applications|icons|info|glib-2\.0/schemas)/.*|lib/[^/]+/(gconv|gio)/.*cache"
    r"|lib/locale/locale-archive|share/man/.*|lib/python3(\.[0-9]+)?/.*\.pyc"
    r"|lib/modules/[^/]+/(modules\..*|initramfs\.img)"
)
_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Live:
    """What was put into the running system: packages, how many files, paths of /etc."""

    packages: tuple[PackageChange, ...]
    files: int
    etc: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """Paths below /usr that come, change or go."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def apply_live(sysroot: Sysroot) -> Live:
    """Show what the pending deployment adds, now.

    Raises MachineError ("not-booted", "no-pending", "not-live"), HostError ("live-failed").
    """
    with sysroot.changing():
        running, pending = _both(sysroot)
        changes = packages.differences(
            packages.of_deployment(running), packages.of_deployment(pending)
        )
        found = differences(running.path / "usr", pending.path / "usr")
        refuse(changes, found, pending)
        if running.unlocked == "none":
            unlock(sysroot)
        copied = put(pending.path / "usr", Path("/usr"), found)
        etc = put_etc(pending.path / "usr/etc", running.path / "usr/etc", Path("/etc"))
        for argv in (
            ["systemd-sysusers"],
            ["ldconfig"],
            ["systemctl", "daemon-reload"],
            ["systemd-tmpfiles", "--create", "--exclude-prefix=/dev"],
        ):
            done = run(argv, timeout=_SECONDS)
            # tmpfiles says 65 or 73 where single lines do not apply; the start's own run too.
            if done.returncode not in (0, 65, 73):
                raise HostError(
                    f"the packages are there, but {argv[0]} failed",
                    reason="live-failed",
                    context=done.stderr.decode(errors="replace").strip()[:300] or None,
                    hint="systemctl reboot",
                )
        return Live(changes, copied, etc)


def refuse(changes: tuple[PackageChange, ...], found: Differences, pending: Deployment) -> None:
    """Raise MachineError ("not-live") where more than additions would be seen."""
    moved = [one for one in changes if one.direction != "added"]
    unsafe = [path for path in (*found.changed, *found.removed) if not _DERIVED.fullmatch(path)]
    if not changes or moved or unsafe:
        what = "packages would be replaced or go" if moved else "files in use would be replaced"
        if not changes:
            what = "it adds no package"
        raise MachineError(
            f"{pending.version} cannot be applied to the running system: {what}",
            reason="not-live",
            details=[f"{one.name} {one.before} -> {one.after or 'gone'}" for one in moved[:10]]
            or [f"/usr/{path}" for path in unsafe[:10]],
            hint="systemctl reboot",
        )


def differences(before: Path, after: Path) -> Differences:
    """Compare two trees of one repository: what is the same there is one inode, or reads alike."""
    old, new = dict(_walk(before)), dict(_walk(after))
    changed = [
        path
        for path in sorted(old.keys() & new.keys())
        if not _same(before / path, old[path], after / path, new[path])
    ]
    return Differences(
        tuple(sorted(new.keys() - old.keys())),
        tuple(changed),
        tuple(sorted(old.keys() - new.keys())),
    )


def put(source: Path, target: Path, found: Differences) -> int:
    """Copy what came and what changed from one /usr to another; returns how many files.

    What goes stays: it is one of the derived files, and harmless.
    """
    count = 0
    for path in (*found.added, *found.changed):
        if path == "etc" or path.startswith("etc/"):
            continue
        _copy(source / path, target / path)
        count += not (source / path).is_dir()
    return count


def put_etc(source: Path, default: Path, target: Path) -> tuple[str, ...]:
    """Copy what the image's /etc newly has, where the machine has nothing of that name."""
    done = []
    for path, _ in sorted(_walk(source)):
        here = target / path
        if not os.path.lexists(default / path) and not os.path.lexists(here):
            _copy(source / path, here)
            done.append(f"/etc/{path}")
    return tuple(done)


def _both(sysroot: Sysroot) -> tuple[Deployment, Deployment]:
    own = sysroot.own()
    running = next((one for one in own if one.booted), None)
    if running is None:
        raise MachineError(
            "only a running system can be changed live",
            reason="not-booted",
            context=str(sysroot.path),
            hint="dolmen system apply-live (on the machine itself)",
        )
    if own[0].booted:
        raise MachineError(
            "nothing waits to be started",
            reason="no-pending",
            hint="dolmen system install PACKAGE",
        )
    return running, own[0]


def _walk(top: Path) -> Iterator[tuple[str, os.stat_result]]:
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        for name in os.listdir(directory):
            path = directory / name
            status = path.lstat()
            yield str(path.relative_to(top)), status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)


def _same(before: Path, old: os.stat_result, after: Path, new: os.stat_result) -> bool:
    if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino):
        return True
    if (old.st_mode, old.st_uid, old.st_gid) != (new.st_mode, new.st_uid, new.st_gid):
        return False
    if stat.S_ISDIR(old.st_mode):
        return True
    if stat.S_ISLNK(old.st_mode):
        return os.readlink(before) == os.readlink(after)
    return old.st_size == new.st_size and before.read_bytes() == after.read_bytes()


def _copy(source: Path, target: Path) -> None:
    import shutil

    status = source.lstat()
    if stat.S_ISDIR(status.st_mode):
        target.mkdir(exist_ok=True)
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(stat.S_IMODE(status.st_mode))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    if stat.S_ISLNK(status.st_mode):
        temporary.symlink_to(os.readlink(source))
        os.lchown(temporary, status.st_uid, status.st_gid)
    else:
        shutil.copyfile(source, temporary)
        os.chown(temporary, status.st_uid, status.st_gid)
        temporary.chmod(stat.S_IMODE(status.st_mode))
        for name in os.listxattr(source):
            if name.startswith(("security.capability", "user.")):
                os.setxattr(temporary, name, os.getxattr(source, name))
    temporary.rename(target)
