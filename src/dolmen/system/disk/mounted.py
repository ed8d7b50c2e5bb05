"""Roots on btrfs and XFS: made by their own mkfs, mounted, and filled through the kernel.

Only root can do that, and what the kernel writes differs from time to time: the same lock gives the
same tree here, not the same bytes. For ext4 there is a writer that needs neither (`ext4/`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.errors import HostError, UsageError
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run
from dolmen.system.disk.nodes import IMMUTABLE, Node

_TIMEOUT = 300.0
_SYNC_TIMEOUT = 3600.0
# linux/fs.h: a file's flags, as chattr sets them.
_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """One file system: how it is made, and how small it may be (bytes)."""

    argv: tuple[str, ...]
    least: int
    options: str


#: `@UUID@` and `@LABEL@` are replaced. XFS labels have 12 characters at most.
KINDS: Mapping[str, Kind] = {
    "btrfs": Kind(
        ("mkfs.btrfs", "--force", "--quiet", "--uuid", "@UUID@", "--label", "@LABEL@"),
        128 * MIB,
        "noatime",
    ),
    # Debian 12's kernel and GRUB know nothing of what newer mkfs.xfs turns on by itself.
    "xfs": Kind(
        ("mkfs.xfs", "-f", "-q", "-m", "uuid=@UUID@", "-L", "@LABEL@", "-i", "nrext64=0"),
        320 * MIB,
        "noatime",
    ),
}


def check_kind(name: str) -> None:
    """Raise HostError ("needs-root", "program-missing") or UsageError ("filesystem-unsupported")
    where a root of this kind cannot be made."""
    kind = KINDS.get(name)
    if kind is None:
        raise UsageError(
            f"a root of {name} cannot be written",
            reason="filesystem-unsupported",
            hint='set filesystem = "ext4" in [system.disk]',
        )
    if os.geteuid() != 0:
        raise HostError(
            f"a root of {name} is filled by mounting it, which only root may do",
            reason="needs-root",
            hint="sudo dolmen system image … (or filesystem = ext4, which needs nothing)",
        )
    for program in (kind.argv[0], "losetup", "mount", "umount"):
        if shutil.which(program, path=CLEAN_ENVIRONMENT["PATH"]) is None:
            raise HostError(
                f"the program {program} is not installed",
                reason="program-missing",
                hint=f"apt install {'btrfs-progs' if 'btrfs' in program else 'xfsprogs'}",
            )


def write_mounted(
    name: str, root: Node, fd: int, offset: int, size: int, *, uuid: str, label: str
) -> None:
    """Make a file system at a place of an open disk (bytes) and fill it. Synced at its end.

    Raises HostError ("filesystem-failed") with what the tools said, and what reading contents does.
    """
    kind = KINDS[name]
    with _loop(fd, offset, size) as device:
        words = (word.replace("@UUID@", uuid).replace("@LABEL@", label) for word in kind.argv)
        _must(run([*words, device], timeout=_TIMEOUT))
        place = Path(tempfile.mkdtemp(prefix="dolmen-disk-"))
        try:
            _must(
                run(["mount", "-t", name, "-o", kind.options, device, str(place)], timeout=_TIMEOUT)
            )
            try:
                fill(root, place)
            finally:
                _must(run(["umount", str(place)], timeout=_SYNC_TIMEOUT))
        finally:
            place.rmdir()


def fill(root: Node, place: Path) -> None:
    """Make a tree in a directory, as root: contents, owners, modes, attributes, links, times."""
    _Filling().directory(root, os.fspath(place))


class _Filling:
    """Directories get what is theirs when they are full; files are made at their first name."""

    def __init__(self) -> None:
        self._made: dict[int, str] = {}

    def directory(self, node: Node, path: str) -> None:
        for name in sorted(node.entries):
            child, below = node.entries[name], f"{path}/{os.fsdecode(name)}"
            known = self._made.get(id(child))
            if known is not None:
                os.link(known, below, follow_symlinks=False)
            elif child.is_directory:
                os.mkdir(below, 0o700)
                self.directory(child, below)
            else:
                self._made[id(child)] = below
                self._leaf(child, below)
        self._dress(node, path)

    def _leaf(self, node: Node, path: str) -> None:
        if node.is_link:
            os.symlink(b"".join(node.chunks()), os.fsencode(path))
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(path, flags, 0o600)
            try:
                for chunk in node.chunks():
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(fd, view) :]
            finally:
                os.close(fd)
        self._dress(node, path)

    def _dress(self, node: Node, path: str) -> None:
        # Owner first: chown(2) takes setuid bits and capabilities away.
        os.chown(path, node.uid, node.gid, follow_symlinks=False)
        if not node.is_link:
            os.chmod(path, stat.S_IMODE(node.mode))
        for name, value in node.xattrs:
            os.setxattr(path, name, value, follow_symlinks=False)
        os.utime(path, (node.mtime, node.mtime), follow_symlinks=False)
        if node.flags & IMMUTABLE:
            _set_flags(path, IMMUTABLE)


def _set_flags(path: str, flags: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = struct.unpack("i", fcntl.ioctl(fd, _GETFLAGS, bytes(4)))[0]
        fcntl.ioctl(fd, _SETFLAGS, struct.pack("i", found | flags))
    finally:
        os.close(fd)


@contextmanager
def _loop(fd: int, offset: int, size: int) -> Iterator[str]:
    """A loop device over a part of an open file or device."""
    argv = ["losetup", "--find", "--show", "--offset", str(offset), "--sizelimit", str(size)]
    done = _must(run([*argv, f"/proc/self/fd/{fd}"], timeout=_TIMEOUT, pass_fds=(fd,)))
    device = done.stdout.decode().strip()
    try:
        yield device
    finally:
        _must(run(["losetup", "--detach", device], timeout=_TIMEOUT))


def _must(done: Completed) -> Completed:
    if done.ok:
        return done
    raise HostError(
        f"{done.argv[0]} failed",
        reason="filesystem-failed",
        details=done.stderr.decode(errors="replace").splitlines()[-10:],
    )
