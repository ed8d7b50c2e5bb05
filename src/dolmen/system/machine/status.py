"""What a machine has: its deployments, their versions, and how their packages differ."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.system.boot.state import BootState, read_state
from dolmen.system.machine import packages
from dolmen.system.machine.layers import Layers, layers_of
from dolmen.system.machine.packages import PackageChange
from dolmen.system.machine.roles import roles


@dataclass(frozen=True, slots=True)
class Entry:
    """A deployment, what it is to the machine, and what it would change.

    `changes`: against what runs (or is started by default); empty for that one itself. `packages`:
    how many there are. `boot`: "good", "on trial", "failed", "once" or "" (not started yet).
    """

    deployment: Deployment
    role: str
    packages: int
    changes: tuple[PackageChange, ...]
    layers: Layers
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All of a state root, in the order of the menu. `starts_left`: of an entry on trial."""

    osname: str
    running: bool
    entries: tuple[Entry, ...]
    starts_left: int = 0

    def entry(self, role: str) -> Entry | None:
        """The first of a role."""
        return next((one for one in self.entries if one.role == role), None)


def status(sysroot: Sysroot) -> Status:
    """Read it; raises StoreError."""
    own = sysroot.own()
    named = roles(own)
    state = read_state(sysroot.path / "boot")
    current = sysroot.current()
    base = packages.of_deployment(current) if current is not None else {}
    entries = []
    for one in own:
        there = base if one is current else packages.of_deployment(one)
        entries.append(
            Entry(
                one,
                named[one.name],
                len(there),
                packages.differences(base, there),
                layers_of(one),
                _boot(one, state),
            )
        )
    left = state.left if state.trial and any(one.name == state.trial for one in own) else 0
    return Status(sysroot.osname, sysroot.booted, tuple(entries), left)


def _boot(deployment: Deployment, state: BootState) -> str:
    if deployment.name == state.once:
        return "once"
    if deployment.name == state.failed:
        return "failed"
    if deployment.name == state.trial:
        return "on trial"
    return "good" if deployment.name in state.good else ""
