"""What one lock has that another has not."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.model.lock import Lock
from dolmen.model.package import LockedPackage


@dataclass(frozen=True, slots=True)
class Change:
    """One package before and after; None where it is not there."""

    name: str
    architecture: str
    before: str | None
    after: str | None
    requested: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference of two locks; `download` and `disk` are bytes, `disk` may be negative.

    `download` counts the .debs that the earlier lock had not: what a store that knows the earlier
    environment still has to fetch.
    """

    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    download: int = 0
    disk: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(before: Lock | None, after: Lock) -> Changes:
    """The packages added, removed and changed between two locks."""
    old = {p.key: p for p in before.packages} if before else {}
    new = {p.key: p for p in after.packages}
    known = {p.sha256 for p in old.values()}
    return Changes(
        added=tuple(_change(None, p) for key, p in sorted(new.items()) if key not in old),
        removed=tuple(_change(p, None) for key, p in sorted(old.items()) if key not in new),
        changed=tuple(
            _change(old[key], p)
            for key, p in sorted(new.items())
            if key in old and old[key].sha256 != p.sha256
        ),
        download=sum(p.size for p in new.values() if p.sha256 not in known),
        disk=(
            sum(p.installed_size for p in new.values())
            - sum(p.installed_size for p in old.values())
        )
        * 1024,
    )


def _change(before: LockedPackage | None, after: LockedPackage | None) -> Change:
    package = after or before
    assert package is not None
    return Change(
        package.name,
        package.architecture,
        before.version if before else None,
        after.version if after else None,
        package.requested,
    )
