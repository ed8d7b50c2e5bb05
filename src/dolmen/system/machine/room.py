"""Whether there is room for a change, asked before the change begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.store.sysroot.commits import Kernel
from dolmen.support.errors import MachineError

#: What an entry, its menu and two directories need in /boot beside kernel and initramfs.
_ENTRY = 256 << 10
#: A deployment's own files: its directories, its /etc, what links cannot share.
_CHECKOUT = 24 << 20


def free(path: Path) -> int:
    """Bytes that may still be written to the file system of a path."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def make_boot_room(
    sysroot: Sysroot, kernel: Kernel, retained: Sequence[Deployment], *, osname: str
) -> None:
    """See to it that /boot takes a new kernel.

    What no deployment needs is removed first; then those deployments that would go with the change
    anyway, if that is enough. Raises MachineError ("boot-full") before anything of that.
    """
    boot = sysroot.path / "boot"
    if (boot / f"ostree/{osname}-{kernel.checksum}").is_dir():
        return
    needed = kernel.size + _ENTRY
    sysroot.prepare_cleanup()
    if free(boot) >= needed:
        return
    staying = {one.boot_checksum for one in retained}
    leaving = [one for one in sysroot.deployments() if one.boot_checksum not in staying]
    gained = sum(_size(directory) for directory in {sysroot.boot_directory(o) for o in leaving})
    there = free(boot)
    if there + gained < needed:
        others = [one for one in retained if not one.booted]
        raise MachineError(
            f"/boot has {there >> 20} MiB free, and kernel {kernel.version} needs {needed >> 20}",
            reason="boot-full",
            context=str(boot),
            details=[
                f"{one.version} keeps {_size(sysroot.boot_directory(one)) >> 20} MiB there"
                for one in others
            ],
            hint="dolmen system cleanup --rollback (or unpin one: dolmen system pin --off N)",
        )
    sysroot.write(retained)


def check_root_room(sysroot: Sysroot, needed: int = _CHECKOUT) -> None:
    """Raise MachineError ("root-full") where the sysroot has less room than `needed` bytes."""
    there = free(sysroot.path / "ostree/repo")
    if there < needed:
        raise MachineError(
            f"the disk has {there >> 20} MiB free, and {needed >> 20} are needed",
            reason="root-full",
            context=str(sysroot.path),
            hint="dolmen system cleanup; dolmen gc",
        )


def _size(directory: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in directory.iterdir())
    except OSError:
        return 0
