"""The menu on a machine: written while libostree writes its entries, before it switches to them.

libostree's GRUB back end calls the program that OSTREE_GRUB2_EXEC names with `-o
/boot/loader.N/grub.cfg`, after the entries and links of N exist and before the link `loader` is
renamed. It skips that when only `/ostree/boot.N` has to change; `settle` mends the menu then.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from dolmen.support.files import write_atomic
from dolmen.system.boot.menu import BootEntry, menu, read_entries
from dolmen.system.boot.state import TRIES, read_state, start_trial

#: Where an image says how often a new entry may fail (a number), below a deployment's root.
TRIES_FILE = "usr/lib/dolmen/boot-tries"

# EXT4_IOC_CHECKPOINT, linux/ext4.h: the journal's blocks go where they belong (Linux 5.14).
_CHECKPOINT = 0x4004662B


def generate(output: Path) -> None:
    """Write the menu of a loader directory to `output`, and put its first entry on trial.

    Raises OSError: libostree gives up the whole change then, and the old entries stay.
    """
    loader = output.parent
    boot = loader.parent
    sysroot = boot.parent
    entries = read_entries(loader, sysroot)
    if entries:
        start_trial(boot, entries[0].deployment, _tries(sysroot, entries[0]))
    write_atomic(output, menu(entries, good=read_state(boot).good))
    keep_link(boot)


def settle(sysroot: Path) -> bool:
    """Make the menu fit its entries when it does not, and bring /boot's journal home.

    Comes after each change of deployments. Returns whether the menu had to be written. Raises
    OSError.
    """
    boot = sysroot / "boot"
    loader = boot / "loader"
    changed = False
    if loader.is_dir():
        entries = read_entries(loader, sysroot)
        if entries:
            start_trial(boot, entries[0].deployment, _tries(sysroot, entries[0]))
            text = menu(entries, good=read_state(boot).good)
            path = loader / "grub.cfg"
            changed = not path.is_file() or path.read_text(errors="replace") != text
            if changed:
                write_atomic(path, text)
    checkpoint(boot)
    return changed


def keep_link(boot: Path) -> None:
    """Give the link `loader` a second name.

    The rename that replaces it would free its inode otherwise, and GRUB, which does not replay the
    journal, could find the name leading to an inode that is no more.
    """
    kept, fresh = boot / "loader.kept", boot / "loader.kept.new"
    with suppress(FileNotFoundError):
        fresh.unlink()
    with suppress(FileNotFoundError, PermissionError):
        os.link(boot / "loader", fresh, follow_symlinks=False)
        fresh.rename(kept)


def checkpoint(boot: Path) -> None:
    """Write home what /boot's journal holds, for GRUB reads without it; at least sync."""
    try:
        fd = os.open(boot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
        with suppress(OSError):
            fcntl.ioctl(fd, _CHECKPOINT, struct.pack("I", 0))
    finally:
        os.close(fd)


def _tries(sysroot: Path, entry: BootEntry) -> int:
    """How often this entry may fail, as its image says."""
    if not entry.deployment:
        return TRIES
    with suppress(OSError, ValueError):
        return int(((sysroot / entry.ostree.lstrip("/")) / TRIES_FILE).read_text())
    return TRIES
