"""Packages laid over an image: the requests of layers.py made good."""

from __future__ import annotations

from pathlib import Path

from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import MachineError
from dolmen.support.events import Emit, ignore
from dolmen.system.machine.layers import Layers


def lay(
    sysroot: Sysroot, base: str, layers: Layers, *, store: Path | None, emit: Emit = ignore
) -> str:
    """The commit of an image with layers over it, in the sysroot's repository."""
    raise MachineError(
        "packages cannot be laid over an image yet",
        reason="no-layers",
        context=", ".join((*layers.install, *layers.remove, *layers.override)),
        hint="put them into the manifest of the image: dolmen system build",
    )
