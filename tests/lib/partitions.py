"""A disk image from outside: its partitions copied out, checked and read without a mount."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

_SECTOR = 512


def partition(disk: Path, number: int, place: Path) -> Path:
    """Copy a partition (numbers from 1) of a qcow2 disk to `place`, holes left out."""
    whole = place.with_suffix(".disk")
    argv = ["qemu-img", "convert", "-O", "raw", str(disk), str(whole)]
    subprocess.run(argv, check=True, timeout=300)
    try:
        with whole.open("rb") as stream:
            stream.seek(2 * _SECTOR + (number - 1) * 128 + 32)
            first, last = struct.unpack("<QQ", stream.read(16))
        argv = ["dd", f"if={whole}", f"of={place}", "bs=1M", "conv=sparse", "status=none"]
        argv += [f"skip={first * _SECTOR}", f"count={(last + 1 - first) * _SECTOR}"]
        subprocess.run([*argv, "iflag=skip_bytes,count_bytes"], check=True, timeout=300)
    finally:
        whole.unlink(missing_ok=True)
    return place


def check(file_system: Path) -> str:
    """Replay the journal, as a mount would; what e2fsck still finds then ("": nothing)."""
    done = subprocess.run(
        ["e2fsck", "-fp", str(file_system)], capture_output=True, text=True, timeout=300
    )
    if done.returncode not in (0, 1):
        return done.stdout + done.stderr
    done = subprocess.run(
        ["e2fsck", "-fn", str(file_system)], capture_output=True, text=True, timeout=300
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def read(file_system: Path, path: str) -> str:
    """A small file's content ("": there is none), by debugfs, which follows no journal."""
    argv = ["debugfs", "-R", f"cat {path}", str(file_system)]
    done = subprocess.run(argv, capture_output=True, timeout=60)
    return done.stdout.decode(errors="replace")


def link(file_system: Path, path: str) -> str:
    """Where a symbolic link leads ("": it is none)."""
    argv = ["debugfs", "-R", f"stat {path}", str(file_system)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    found = re.search(r'Fast link dest: "(.*)"', done.stdout)
    return found.group(1) if found else ""
