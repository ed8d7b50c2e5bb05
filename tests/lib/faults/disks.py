"""Small file systems that can be full, and whose power can be cut; all of this needs root.

`FS_IOC_SHUTDOWN` without a log flush stops a file system as a power cut would, and mounting it
again replays its journal. Ordinary ext4 hides missing syncs (auto_da_alloc), hence noauto_da_alloc
and xfs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = (2).to_bytes(4, "little")
_SIZE = 512 << 20
#: Kinds of file systems that can be stopped, with their mount options.
KINDS = {"ext4": "noauto_da_alloc", "xfs": "nouuid"}


@dataclass
class Disk:
    """A small file system in a file."""

    image: Path
    mount: Path
    options: str

    def up(self) -> None:
        """Mount it."""
        self._run("mount", "-o", f"loop,{self.options}", self.image, self.mount)

    def down(self) -> None:
        """Unmount it; lazily: a sandbox that someone started may hold a copy of the mount."""
        self._run("umount", "-l", self.mount)

    def settle(self) -> None:
        """Everything that is there now is on the disk."""
        self._run("sync", "-f", self.mount)

    def cut(self) -> None:
        """The power goes."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def again(self) -> None:
        """Mount a copy of what had reached the disk: the file system that was shut down may live
        on in other mount namespaces, and would be found there."""
        copy = self.image.with_name(f"{self.image.name}+")
        self._run("cp", "--sparse=always", self.image, copy)
        self.down()
        self.image.unlink()
        self.image = copy
        self.up()

    @staticmethod
    def _run(*argv: str | Path) -> None:
        subprocess.run(argv, check=True, timeout=60)


@contextlib.contextmanager
def disk(kind: str, directory: Path) -> Iterator[Disk]:
    """A fresh file system of one of KINDS, its image and mount point in `directory`."""
    found = Disk(directory / "image", directory / "mount", KINDS[kind])
    with found.image.open("wb") as stream:
        stream.truncate(_SIZE)
    subprocess.run([f"mkfs.{kind}", "-q", found.image], check=True, timeout=60)
    found.mount.mkdir()
    found.up()
    try:
        yield found
    finally:
        found.down()


def can_make(kind: str) -> bool:
    """Whether the program that makes it is installed."""
    return shutil.which(f"mkfs.{kind}") is not None


@dataclass
class Memory:
    """A tmpfs whose size and number of inodes can be changed."""

    mount: Path

    def limit(self, *, room: int | None = None, inodes: int | None = None) -> None:
        """So many bytes and inodes beyond what is used now; None: plenty."""
        status = os.statvfs(self.mount)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        size = used + room if room is not None else 1 << 30
        number = status.f_files - status.f_ffree + inodes if inodes is not None else 1 << 20
        options = f"remount,size={max(size, 4096)},nr_inodes={number}"
        subprocess.run(["mount", "-o", options, self.mount], check=True, timeout=60)

    def used(self) -> tuple[int, int]:
        """Bytes and inodes."""
        status = os.statvfs(self.mount)
        taken = (status.f_blocks - status.f_bfree) * status.f_frsize
        return taken, status.f_files - status.f_ffree


@contextlib.contextmanager
def memory(directory: Path) -> Iterator[Memory | None]:
    """A small tmpfs below `directory`; None where those have no user attributes (Linux < 6.6)."""
    found = Memory(directory / "memory")
    found.mount.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1g,mode=0755", "tmpfs", str(found.mount)]
    subprocess.run(argv, check=True, timeout=60)
    try:
        try:
            os.setxattr(found.mount, "user.dolmen", b"1")
        except OSError:
            yield None
            return
        yield found
    finally:
        subprocess.run(["umount", "-l", found.mount], check=True, timeout=60)
