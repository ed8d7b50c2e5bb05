"""Directories with a manifest, a lock and generations: what people work in."""

from dolmen.environment.adhoc import ad_hoc
from dolmen.environment.backend import Backend, Realised, Rooms
from dolmen.environment.changes import Change, Changes, compare
from dolmen.environment.entering import prepare
from dolmen.environment.layout import Environment, find_environment, open_environment
from dolmen.environment.live import list_generations, rollback, switch
from dolmen.environment.operations import (
    Outcome,
    check,
    host_suite,
    initialise,
    install,
    lock,
    remove,
    sync,
)
from dolmen.environment.verifying import verify

__all__ = [
    "Backend",
    "Change",
    "Changes",
    "Environment",
    "Outcome",
    "Realised",
    "Rooms",
    "ad_hoc",
    "check",
    "compare",
    "find_environment",
    "host_suite",
    "initialise",
    "install",
    "list_generations",
    "lock",
    "open_environment",
    "prepare",
    "remove",
    "rollback",
    "switch",
    "sync",
    "verify",
]
