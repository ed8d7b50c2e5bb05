"""A disk image from outside: its file systems checked and read without a mount."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

_SECTOR = 512


def flat(disk: Path, place: Path) -> Path:
    """Write a qcow2 disk out as it is now, holes left out."""
    argv = ["qemu-img", "convert", "-O", "raw", str(disk), str(place)]
    subprocess.run(argv, check=True, timeout=300)
    return place


def inside(disk: Path, number: int) -> str:
    """What the tools of ext4 call a partition of a flat disk (numbers from 1)."""
    with disk.open("rb") as stream:
        stream.seek(2 * _SECTOR + (number - 1) * 128 + 32)
        (first,) = struct.unpack("<Q", stream.read(8))
    return f"{disk}?offset={first * _SECTOR}"


def check(file_system: str) -> str:
    """Replay the journal, as a mount would; what e2fsck still finds then ("": nothing)."""
    done = subprocess.run(
        ["e2fsck", "-fp", file_system], capture_output=True, text=True, timeout=300
    )
    if done.returncode not in (0, 1):
        return done.stdout + done.stderr
    done = subprocess.run(
        ["e2fsck", "-fn", file_system], capture_output=True, text=True, timeout=300
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def read(file_system: str, path: str) -> str:
    """A small file's content ("": there is none), by debugfs, which follows no journal."""
    argv = ["debugfs", "-R", f"cat {path}", file_system]
    done = subprocess.run(argv, capture_output=True, timeout=60)
    return done.stdout.decode(errors="replace")


def link(file_system: str, path: str) -> str:
    """Where a symbolic link leads ("": it is none)."""
    argv = ["debugfs", "-R", f"stat {path}", file_system]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    found = re.search(r'Fast link dest: "(.*)"', done.stdout)
    return found.group(1) if found else ""
