"""libostree's sysroot: the deployments of a machine, read and changed through its own library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import dolmen.store.history  # noqa: F401 - it says which libostree is meant

if TYPE_CHECKING:
    from dolmen.store.sysroot.deployment import Deployment as Deployment
    from dolmen.store.sysroot.deployment import Metadata as Metadata
    from dolmen.store.sysroot.sysroot import Sysroot as Sysroot

_MODULES = {"Deployment": "deployment", "Metadata": "deployment", "Sysroot": "sysroot"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
