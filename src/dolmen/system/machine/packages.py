"""The packages of a deployment, from the dpkg database in its own tree, and how two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dolmen.model.installed import Installed, parse_status
from dolmen.store.history.repository import History
from dolmen.store.sysroot import Deployment
from dolmen.store.sysroot.commits import read

#: Where a system image keeps dpkg's database; /var/lib/dpkg is a link to it.
STATUS = "usr/lib/sysimage/dpkg/status"

Packages = Mapping[tuple[str, str], Installed]


@dataclass(frozen=True, slots=True)
class PackageChange:
    """One package before and after; None where it is not there. `direction`: "added", "removed",
    "upgraded" or "downgraded"."""

    name: str
    architecture: str
    before: str | None
    after: str | None
    direction: str


def of_deployment(deployment: Deployment) -> Packages:
    """What is installed in a deployment; empty where it has no database."""
    path = deployment.path / STATUS
    if not path.is_file():
        return {}
    return of_text(path.read_text(encoding="utf-8", errors="surrogateescape"))


def of_commit(history: History, commit: str) -> Packages:
    """What is installed in a commit that is in the repository."""
    found = read(history, commit, STATUS)
    return {} if found is None else of_text(found.decode("utf-8", "surrogateescape"))


def of_text(text: str) -> Packages:
    """What a status file's text says."""
    return parse_status(text)


def differences(before: Packages, after: Packages) -> tuple[PackageChange, ...]:
    """What came, went and changed, sorted by name."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and old.version == new.version:
            continue
        if old is None or new is None:
            direction = "added" if old is None else "removed"
        else:
            direction = "upgraded" if _newer(new, old) else "downgraded"
        found.append(
            PackageChange(
                *key, old.version if old else None, new.version if new else None, direction
            )
        )
    return tuple(found)


def _newer(one: Installed, other: Installed) -> bool:
    # Imported here: libapt takes its time, and few deployments are compared with others.
    from dolmen.archive import compare_versions

    return compare_versions(one.version, other.version) > 0
