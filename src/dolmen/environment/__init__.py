"""Directories with a manifest, a lock and generations: what people work in.

Names are imported when they are first used: a command that finds nothing to do is over in the time
that importing all of this would take.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dolmen.environment.adhoc import ad_hoc as ad_hoc
    from dolmen.environment.allowing import Allowance as Allowance
    from dolmen.environment.allowing import allow as allow
    from dolmen.environment.allowing import deny as deny
    from dolmen.environment.backend import Backend as Backend
    from dolmen.environment.backend import Realised as Realised
    from dolmen.environment.changes import Change as Change
    from dolmen.environment.changes import Changes as Changes
    from dolmen.environment.changes import compare as compare
    from dolmen.environment.entering import is_known as is_known
    from dolmen.environment.entering import prepare as prepare
    from dolmen.environment.layout import Environment as Environment
    from dolmen.environment.layout import find_environment as find_environment
    from dolmen.environment.layout import open_environment as open_environment
    from dolmen.environment.live import list_generations as list_generations
    from dolmen.environment.live import name_generation as name_generation
    from dolmen.environment.live import pin as pin
    from dolmen.environment.live import remove_generations as remove_generations
    from dolmen.environment.live import rollback as rollback
    from dolmen.environment.live import switch as switch
    from dolmen.environment.operations import Outcome as Outcome
    from dolmen.environment.operations import check as check
    from dolmen.environment.operations import install as install
    from dolmen.environment.operations import lock as lock
    from dolmen.environment.operations import remove as remove
    from dolmen.environment.operations import sync as sync
    from dolmen.environment.rooms import Rooms as Rooms
    from dolmen.environment.starting import host_suite as host_suite
    from dolmen.environment.starting import initialise as initialise
    from dolmen.environment.updating import update as update
    from dolmen.environment.updating import upgrade as upgrade
    from dolmen.environment.verifying import verify as verify

_PLACES = {
    "adhoc": ("ad_hoc",),
    "allowing": ("Allowance", "allow", "deny"),
    "backend": ("Backend", "Realised"),
    "rooms": ("Rooms",),
    "changes": ("Change", "Changes", "compare"),
    "entering": ("is_known", "prepare"),
    "layout": ("Environment", "find_environment", "open_environment"),
    "live": (
        "list_generations",
        "name_generation",
        "pin",
        "remove_generations",
        "rollback",
        "switch",
    ),
    "operations": (
        "Outcome",
        "check",
        "install",
        "lock",
        "remove",
        "sync",
    ),
    "starting": ("host_suite", "initialise"),
    "updating": ("update", "upgrade"),
    "verifying": ("verify",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
