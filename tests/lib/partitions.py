"""A disk image from outside: its file systems checked and read without a mount."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

_SECTOR = 512


def extract(disk: Path, number: int, place: Path) -> Path:
    """Write a partition (from 1) of a qcow2 disk out as it is now, holes left out.

    A file of its own: e2fsck forgets an `?offset=` once it has replayed a journal.
    """
    head = place.with_name(f"{place.name}.gpt")
    argv = ["qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"bs={_SECTOR}", "count=34"]
    subprocess.run([*argv, f"if={disk}", f"of={head}"], check=True, timeout=60)
    entry = 2 * _SECTOR + (number - 1) * 128 + 32
    first, last = struct.unpack("<QQ", head.read_bytes()[entry : entry + 16])
    head.unlink()
    part = f"driver=raw,offset={first * _SECTOR},size={(last + 1 - first) * _SECTOR}"
    whole = f"file.driver=qcow2,file.file.driver=file,file.file.filename={disk}"
    argv = ["qemu-img", "convert", "-O", "raw", "--image-opts", f"{part},{whole}", str(place)]
    subprocess.run(argv, check=True, timeout=300)
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
