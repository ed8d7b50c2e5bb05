"""The running system: which deployment it is, and that it works."""

from __future__ import annotations

import re
from pathlib import Path

from dolmen.support.files import write_atomic
from dolmen.system.boot.generating import checkpoint
from dolmen.system.boot.menu import arguments, deployment_of
from dolmen.system.boot.state import mark_good


def booted_deployment(sysroot: Path) -> str:
    """The deployment that is this machine's root, or "".

    By the root's device and inode, as libostree does; under an overlay (a volatile root) by the
    kernel argument, whose link may have moved on since.
    """
    here = (sysroot / "").stat()
    for place in (sysroot / "ostree/deploy").glob("*/deploy/*.*"):
        if re.fullmatch(r"[0-9a-f]{64}\.[0-9]+", place.name) and place.is_dir():
            there = place.stat()
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return place.name
    for argument in arguments((sysroot / "proc/cmdline").read_text(errors="replace")):
        if argument.startswith("ostree="):
            return deployment_of(sysroot, argument.removeprefix("ostree="))
    return ""


def complete(sysroot: Path) -> tuple[str, ...]:
    """Note that the running system has reached its target; returns what is worth saying.

    When it runs because a newer one was given up, that stands in the message of the day too.
    Raises OSError.
    """
    boot = sysroot / "boot"
    name = booted_deployment(sysroot)
    state = mark_good(boot, name)
    checkpoint(boot)
    if not state.failed or state.failed == name:
        return ()
    text = (
        f"The system {state.failed[:12]} failed to start and was given up; this is the one before. "
        "`dolmen system status` tells more."
    )
    messages = sysroot / "run/motd.d"
    messages.mkdir(exist_ok=True)
    write_atomic(messages / "dolmen-boot", text + "\n")
    return (text,)
