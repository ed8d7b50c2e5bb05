"""What each deployment is to the machine, from its place in the menu."""

from __future__ import annotations

from collections.abc import Sequence

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.support.errors import MachineError
from dolmen.system.boot.state import read_state

#: In an origin's group `dolmen`: this one is pinned by us, to keep more than libostree would.
KEPT = "kept"


def roles(deployments: Sequence[Deployment]) -> dict[str, str]:
    """Deployment -> "booted", "pending" (started next), "rollback" or "kept".

    Of one state root, in the order of the menu. Where none runs, the first is "default".
    """
    running = next((number for number, one in enumerate(deployments) if one.booted), None)
    found: dict[str, str] = {}
    for number, one in enumerate(deployments):
        if number == running:
            found[one.name] = "booted"
        elif running is not None and number < running:
            found[one.name] = "pending"
        elif running is None and number == 0:
            found[one.name] = "default"
        elif number == (running or 0) + 1:
            found[one.name] = "rollback"
        else:
            found[one.name] = "kept"
    return found


def next_started(sysroot: Sysroot) -> Deployment | None:
    """What the machine starts next, which a change adds to: the first of the menu that was not
    given up. It need not be what runs."""
    return first_started(sysroot.own(), read_state(sysroot.path / "boot").failed)


def given_up(sysroot: Sysroot) -> Deployment | None:
    """The deployment that failed to start as often as it may."""
    failed = read_state(sysroot.path / "boot").failed
    return next((one for one in sysroot.own() if one.name == failed), None)


def first_started(deployments: Sequence[Deployment], failed: str) -> Deployment | None:
    """The first in the order of the menu but the `failed` one; that one where there is no other."""
    left = [one for one in deployments if one.name != failed]
    return next(iter(left or deployments), None)


def find(deployments: Sequence[Deployment], reference: str) -> Deployment:
    """A deployment by its place in the menu, its role, its version, or a checksum's beginning.

    Raises MachineError ("no-deployment").
    """
    named = roles(deployments)
    if reference.isdigit() and len(reference) < 4:
        found = [one for one in deployments if one.index == int(reference)]
    else:
        found = [one for one in deployments if named[one.name] == reference]
        found = found or [one for one in deployments if one.version == reference]
        found = found or [one for one in deployments if _begins(one, reference)]
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} deployments are" if found else "no deployment is"
    raise MachineError(
        f"{many} called {reference[:70]!r}",
        reason="no-deployment",
        details=[f"{one.index}  {named[one.name]}  {one.version}  {one.name}" for one in found],
        hint="dolmen system status",
    )


def _begins(deployment: Deployment, reference: str) -> bool:
    return len(reference) >= 4 and deployment.name.startswith(reference)


def pinned_by_user(deployment: Deployment) -> bool:
    """Whether somebody pinned it, not only we."""
    return deployment.pinned and deployment.origin.get("dolmen", {}).get(KEPT) != "true"


def retained(
    deployments: Sequence[Deployment], *, osname: str, keep: int, origin_of: Deployment | None
) -> tuple[Deployment, ...]:
    """Which of a menu's deployments stay when a new one of `osname` comes before them.

    The running one, the one that the new one follows (`origin_of`, where nothing runs), pinned
    ones and other state roots' always; a pending one never, for the new one takes its place;
    of the others as many as `keep` says, the newest first, where the rollback of tomorrow (the
    running one, or `origin_of`) is not counted.
    """
    own = [one for one in deployments if one.osname == osname]
    named = roles(own)
    stays: list[Deployment] = []
    extra = 0
    for one in deployments:
        role = named.get(one.name)
        if role is None or pinned_by_user(one) or one.booted:
            stays.append(one)
        elif one.staged or role == "pending":
            continue
        elif origin_of is not None and one.name == origin_of.name:
            stays.append(one)
        elif extra < keep:
            extra += 1
            stays.append(one)
    return tuple(stays)
