"""Changes of what a machine has already: order, pins, kernel arguments, what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.store.sysroot.commits import list_refs, set_ref
from dolmen.support.clock import monotonic
from dolmen.support.errors import MachineError
from dolmen.support.events import Emit, ignore
from dolmen.system.machine import kargs, packages
from dolmen.system.machine.layers import BASES
from dolmen.system.machine.roles import find, next_started, pinned_by_user, roles
from dolmen.system.machine.switching import Outcome, settled, switch


def rollback(sysroot: Sysroot) -> Outcome:
    """Start what was there before, from now on.

    Where another deployment than the running one is first in the menu (a pending one, or the
    running one was chosen by hand), the running one becomes the first; else the one after it. A
    staged deployment is given up. Raises MachineError ("no-rollback").
    """
    began = monotonic()
    with sysroot.changing():
        before = sysroot.deployments()
        order = [one for one in before if not one.staged]
        own = [one for one in order if one.osname == sysroot.osname]
        staged = [one for one in before if one.staged]
        running = next((one for one in own if one.booted), None)
        if running is not None and (staged or own[0] is not running):
            target = running
        elif len(own) > 1:
            target = own[1]
        else:
            raise MachineError(
                "there is nothing to go back to: this is the only deployment",
                reason="no-rollback",
                context=str(sysroot.path),
                hint="dolmen system status",
            )
        order.remove(target)
        sysroot.write([target, *order])
        settled(sysroot)
        names = {one.name for one in sysroot.deployments()}
        there = packages.of_deployment(running or own[0])
        return Outcome(
            True,
            find(sysroot.own(), target.name),
            packages.differences(there, packages.of_deployment(target)),
            tuple(one for one in before if one.name not in names),
            False,
            monotonic() - began,
        )


def pin(sysroot: Sysroot, reference: str, *, pinned: bool) -> Deployment:
    """Keep a deployment whatever comes, or no longer; raises MachineError ("no-deployment",
    "deployment-staged")."""
    with sysroot.changing():
        found = find(sysroot.own(), reference)
        if found.staged:
            raise MachineError(
                f"{found.version} becomes an entry at shutdown, and can be pinned then",
                reason="deployment-staged",
                context=found.name,
                hint=f"after the next start: dolmen system pin {found.version}",
            )
        origin = {name: dict(values) for name, values in found.origin.items()}
        if origin.get("dolmen", {}).pop("kept", None):
            sysroot.write_origin(found, origin)
        if found.pinned != pinned:
            sysroot.pin(found, pinned)
        return find(sysroot.own(), found.name)


def cleanup(
    sysroot: Sysroot, *, pending: bool = False, rollbacks: bool = False, kept: bool = False
) -> tuple[Deployment, ...]:
    """Remove what nothing needs, and the deployments of these roles; returns those.

    Pinned ones and the running one stay; where nothing runs the default one stays.
    """
    with sysroot.changing():
        before = sysroot.deployments()
        named = roles([one for one in before if one.osname == sysroot.osname])
        going = {
            role
            for role, wanted in (("pending", pending), ("rollback", rollbacks), ("kept", kept))
            if wanted
        }
        leaving = [
            one for one in before if named.get(one.name) in going and not pinned_by_user(one)
        ]
        if leaving:
            sysroot.write([one for one in before if one not in leaving])
        _forget_bases(sysroot)
        sysroot.cleanup()
        settled(sysroot)
        return tuple(leaving)


def undeploy(sysroot: Sysroot, reference: str) -> Deployment:
    """Remove one deployment; raises MachineError ("deployment-booted", "deployment-pinned")."""
    with sysroot.changing():
        found = find(sysroot.own(), reference)
        if found.booted or pinned_by_user(found):
            raise MachineError(
                f"{found.version} {'is running' if found.booted else 'is pinned'}",
                reason="deployment-booted" if found.booted else "deployment-pinned",
                context=found.name,
                hint="dolmen system status"
                if found.booted
                else f"dolmen system pin --off {found.index}",
            )
        sysroot.write([one for one in sysroot.deployments() if one != found])
        settled(sysroot)
        return found


def change_arguments(
    sysroot: Sysroot,
    *,
    append: Sequence[str] = (),
    delete: Sequence[str] = (),
    replace: Sequence[str] = (),
    keep: int = 0,
    emit: Emit = ignore,
) -> Outcome:
    """A new deployment of what is started next, with other kernel arguments."""
    with sysroot.changing():
        source = required(next_started(sysroot))
        wanted = kargs.edited(source.arguments, append=append, delete=delete, replace=replace)
        if wanted == source.arguments:
            return Outcome(False, source)
        return switch(
            sysroot,
            source.commit,
            origin=lasting(source),
            arguments=wanted,
            known=True,
            keep=keep,
            emit=emit,
        )


def unlock(sysroot: Sysroot, *, hotfix: bool = False) -> Deployment:
    """Let the running /usr be written to; raises MachineError ("not-booted", "unlocked")."""
    with sysroot.changing():
        running = next((one for one in sysroot.own() if one.booted), None)
        if running is None:
            raise MachineError(
                "only the /usr of a running system is unlocked",
                reason="not-booted",
                context=str(sysroot.path),
                hint="dolmen system unlock (on the machine itself)",
            )
        if running.unlocked != "none":
            raise MachineError(
                f"/usr is unlocked already ({running.unlocked})",
                reason="unlocked",
                hint="systemctl reboot (forgets a development unlock)",
            )
        sysroot.unlock(running, hotfix=hotfix)
        return next(one for one in sysroot.own() if one.booted)


def _forget_bases(sysroot: Sysroot) -> None:
    """Images that layers lay over need not be kept when nothing with those layers is deployed."""
    deployed = {one.commit for one in sysroot.deployments()}
    for name in list_refs(sysroot.repository, BASES):
        if name not in deployed:
            set_ref(sysroot.repository, f"{BASES}/{name}", None)


def required(deployment: Deployment | None) -> Deployment:
    """Raise MachineError ("no-deployment") where there is none at all."""
    if deployment is None:
        raise MachineError(
            "this sysroot has no deployment yet",
            reason="no-deployment",
            hint="dolmen system deploy REF",
        )
    return deployment


def lasting(deployment: Deployment) -> dict[str, dict[str, str]]:
    """What of a deployment's origin a later one takes over; not its pins."""
    origin = {
        name: dict(values)
        for name, values in deployment.origin.items()
        if name != "libostree-transient"
    }
    origin.get("dolmen", {}).pop("kept", None)
    return origin
