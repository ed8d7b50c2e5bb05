"""Rooms whose names are imported when they are first used, so that short commands start soon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def on_demand(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` (PEP 562) of a package: `modules` says which of its modules has a name.

    No name may be a module's, too: importing that would put the module in its place. Raises
    AttributeError for any other name.
    """

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return find
