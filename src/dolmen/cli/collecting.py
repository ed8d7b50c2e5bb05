"""What garbage may go by the settings, and collecting it where a verb of `dolmen system` has built
something: a machine's disk stays bounded, and a full one is no reason to refuse before that."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dolmen.cli import text
from dolmen.cli.options import session

if TYPE_CHECKING:
    from dolmen.environment.collecting import Policy
    from dolmen.system.machine.switching import Outcome

T = TypeVar("T")
_FULL = ("root-full", "store-full")
#: Seconds to wait for others who use the store, where room must come from it.
_PATIENCE = 600.0


def policy(
    older_than: float | None = None,
    keep: int | None = None,
    free: int | None = None,
    grace: float | None = None,
    dead_roots: float | None = None,
) -> Policy:
    """What may go; None: as the settings have it."""
    from dolmen.environment.adhoc import expiry
    from dolmen.environment.collecting import Policy
    from dolmen.support import settings

    def age(given: float | None, name: str) -> float:
        return given if given is not None else settings.seconds(name) or 0.0

    if older_than is None and keep is None and free is None:
        older_than = settings.seconds("gc.older-than")
        number = settings.get("gc.keep")
        keep = int(number) if number is not None else None
    return Policy(
        older_than=older_than,
        keep=keep,
        free=free,
        grace=age(grace, "gc.grace"),
        dead_roots=age(dead_roots, "gc.dead-roots"),
        shells=expiry(),
        quarantine=age(None, "gc.quarantine"),
        keep_debs=settings.get("keep-debs") is True,
    )


def with_room(change: Callable[[], T]) -> T:
    """Make a change; where the disk was too full, once more when the store has given room.

    The newest image that was built stays in the store: the second try takes it from there.
    """
    from dolmen.support.errors import BusyError, DolmenError
    from dolmen.support.events import Notice

    try:
        return change()
    except DolmenError as error:
        freed = 0
        if error.reason in _FULL:
            with contextlib.suppress(BusyError, OSError):
                freed = _collect(number=1, grace=0.0)
        if not freed:
            raise
        session().emit(Notice(f"{error.message}: {text.size(freed)} of the store freed, again"))
    return change()


def bound(outcome: Outcome) -> None:
    """After a change: what has been built for this machine and is not wanted goes from the store.

    Nothing at all is wanted once an image is as its server has it. The change is made by now: what
    goes wrong here is told, and left to the next one.
    """
    from dolmen.support.errors import BusyError, DolmenError
    from dolmen.support.events import Notice
    from dolmen.system.keeping import KEPT_BY_MACHINE

    deployment = outcome.deployment
    if outcome.changed and deployment is not None:
        directory = deployment.origin.get("dolmen", {}).get("directory")
        own = directory is not None or deployment.base != deployment.commit
        try:
            _collect(number=KEPT_BY_MACHINE if own else 0, timeout=0.0)
        except BusyError:
            pass  # somebody builds: the next change will find it
        except (DolmenError, OSError) as error:
            session().emit(Notice(f"the store keeps what nobody needs: {error}", level="warning"))


def _collect(number: int, *, grace: float | None = None, timeout: float = _PATIENCE) -> int:
    """Keep so many images that were built for a machine; returns the bytes that are free now.

    What the next build may begin with, packages and configured trees, stays for `grace` seconds.
    No generation of an environment goes, nor what a directory needs that is away: nobody has typed
    `gc`.
    """
    from dataclasses import replace

    from dolmen.environment.collecting import collect_garbage
    from dolmen.store import Store
    from dolmen.store.layout import store_path
    from dolmen.system.keeping import forget
    from dolmen.system.machine.making import NOTES

    current = session()
    notes = store_path(current.store) / NOTES
    if not notes.exists():
        return 0  # nothing was ever built for a machine
    store = Store.open(current.store)
    forget(notes, store, number=number)
    rules = policy(grace=grace)
    rules = replace(rules, older_than=None, keep=None, dead_roots=math.inf, images=rules.grace)
    return collect_garbage(store, rules, timeout=timeout, emit=current.emit).freed
