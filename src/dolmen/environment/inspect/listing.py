"""What an environment holds, and which of it has newer versions."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.archive import Catalogue, Offer, catalogue, compare_versions
from dolmen.environment.inspect.view import View
from dolmen.model import LockedPackage
from dolmen.support.events import Emit, ignore


@dataclass(frozen=True, slots=True)
class Listed:
    """A package of the lock. `size` and `installed_size` count bytes; `newest` and its `suite` are
    what the archive would install now, where that is newer and was asked for."""

    name: str
    version: str
    architecture: str
    requested: bool
    essential: bool
    size: int
    installed_size: int
    description: str
    newest: str | None = None
    suite: str | None = None


def packages(seen: View, *, everything: bool = False) -> tuple[Listed, ...]:
    """The requested packages, or all of the lock, sorted by name."""
    found = [_listed(p) for p in seen.lock().packages if everything or p.requested]
    return tuple(sorted(found, key=lambda p: (p.name, p.architecture)))


def outdated(
    seen: View, *, everything: bool = False, refresh: bool = False, emit: Emit = ignore
) -> tuple[Listed, ...]:
    """Those of which the archive offers a newer version; raises ArchiveError."""
    lock = seen.lock()
    offered = catalogue(seen.manifest, state=seen.state, refresh=refresh, emit=emit)
    found = []
    for package in lock.packages:
        if everything or package.requested:
            newest = candidate(offered, package)
            if newest is not None and compare_versions(newest.version, package.version) > 0:
                found.append(_listed(package, newest))
    return tuple(sorted(found, key=lambda p: (p.name, p.architecture)))


def candidate(offered: Catalogue, package: LockedPackage) -> Offer | None:
    """The version of a package that would be installed now."""
    for offer in offered.offers(package.name):
        if offer.chosen and offer.architecture in (package.architecture, "all"):
            return offer
    return None


def _listed(package: LockedPackage, newest: Offer | None = None) -> Listed:
    return Listed(
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        requested=package.requested,
        essential=package.essential,
        size=package.size,
        installed_size=package.installed_size * 1024,
        description=package.get("Description"),
        newest=newest.version if newest else None,
        suite=newest.suite if newest else None,
    )
