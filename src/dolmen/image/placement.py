"""Where each path of each package ends up in the merged tree: dpkg's rules on shared paths.

Two packages may name one path when both hold a directory, when they are one `Multi-Arch: same`
package with the same content, when one Replaces the other (Debian Policy 7.6.1: the replaced path
leaves the loser's file list), or when a third diverts it (dpkg-divert(1)). A symbolic link over a
directory leaves the directory; a directory over a symbolic link to one leaves the link.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dolmen.image.admin import Diversion
from dolmen.model import LockedPackage, Sha256
from dolmen.model.relation import parse_relations
from dolmen.store import PackageTree, PathEntry, usrmerged
from dolmen.support.errors import PackageError


def merged(path: str) -> str:
    """Where an absolute path of a package lies in a tree: relative, on a merged /usr."""
    return usrmerged(path.lstrip("/"))


@dataclass(slots=True)
class Placement:
    """What merging one package must do besides taking its files as they are.

    Paths are relative and merged, those of `lost` as spelled in the package, for its file list.
    """

    skip: set[str] = field(default_factory=set)
    renames: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Owner:
    package: LockedPackage
    entry: PathEntry
    path: str


#: Compares two versions as dpkg does; negative, zero or positive.
Compare = Callable[[str, str], int]


def place(
    packages: Sequence[LockedPackage],
    trees: Mapping[Sha256, PackageTree],
    diversions: Iterable[Diversion],
    compare: Compare,
) -> dict[tuple[str, str], Placement]:
    """Decide for all packages, in the order in which dpkg would unpack them.

    Raises PackageError ("file-conflict") where dpkg would refuse.
    """
    diverted = {merged(d.origin): d for d in diversions}
    owners: dict[str, _Owner] = {}
    directories: set[str] = set()
    placements: dict[tuple[str, str], Placement] = {}
    for package in packages:
        placement = placements[package.key] = Placement()
        moved: dict[str, str] = {}
        for entry in trees[package.sha256].paths:
            path = natural = entry.merged
            if moved:
                path = _below_link(path, moved)
            diversion = diverted.get(path)
            if diversion is not None and diversion.package != package.name:
                path = merged(diversion.target)
            owner = owners.get(path)
            if entry.kind == "d":
                if owner is None:
                    directories.add(path)
                elif owner.entry.kind == "l":
                    moved[path] = _target(owner)
                else:
                    raise _conflict(path, owner.package, package)
                continue
            if path in directories:
                if entry.kind != "l":
                    raise _conflict(path, package, package)
                placement.skip.add(natural)
                continue
            if owner is not None:
                loser = _loser(owner, package, entry, compare)
                if loser is None:
                    placement.skip.add(natural)
                    continue
                if loser is package:
                    placement.skip.add(natural)
                    placement.lost.add(entry.path)
                    continue
                old = placements[loser.key]
                old.skip.add(owner.entry.merged)
                old.renames.pop(owner.entry.merged, None)
                old.lost.add(owner.entry.path)
            if path != natural:
                placement.renames[natural] = path
            owners[path] = _Owner(package, entry, path)
    return placements


def _below_link(path: str, moved: Mapping[str, str]) -> str:
    for directory, target in moved.items():
        if path.startswith(f"{directory}/"):
            return target + path[len(directory) :]
    return path


def _target(owner: _Owner) -> str:
    directory = posixpath.dirname(f"/{owner.path}")
    return merged(posixpath.normpath(posixpath.join(directory, owner.entry.target)))


def _loser(
    owner: _Owner, package: LockedPackage, entry: PathEntry, compare: Compare
) -> LockedPackage | None:
    """Whose file gives way; None when both hold the same and either may stay."""
    other = owner.package
    same_content = (entry.digest, entry.kind, entry.target, entry.mode) == (
        owner.entry.digest,
        owner.entry.kind,
        owner.entry.target,
        owner.entry.mode,
    )
    if (
        package.name == other.name
        and package.multi_arch == other.multi_arch == "same"
        and same_content
    ):
        return None
    if _replaces(package, other, compare):
        return other
    if _replaces(other, package, compare):
        return package
    raise _conflict(owner.path, other, package)


def _replaces(package: LockedPackage, other: LockedPackage, compare: Compare) -> bool:
    provided = {r.name for clause in parse_relations(other.get("Provides")) for r in clause}
    for clause in parse_relations(package.get("Replaces")):
        for relation in clause:
            if relation.name == other.name:
                if relation.operator is None or relation.version is None:
                    return True
                if _holds(compare(other.version, relation.version), relation.operator):
                    return True
            elif relation.name in provided and relation.operator is None:
                return True
    return False


def _holds(order: int, operator: str) -> bool:
    return {
        "<<": order < 0,
        "<": order <= 0,  # the obsolete spelling means "<=" (deb-control(5))
        "<=": order <= 0,
        "=": order == 0,
        ">=": order >= 0,
        ">": order >= 0,
        ">>": order > 0,
    }[operator]


def _conflict(path: str, first: LockedPackage, second: LockedPackage) -> PackageError:
    return PackageError(
        f"{first.name} and {second.name} both hold {path}, and neither replaces the other",
        reason="file-conflict",
        context=f"{first} and {second}",
        hint=f"take one of them out: dolmen remove {second.name}",
    )


def owned(paths: Iterable[PathEntry], lost: Collection[str]) -> str:
    """The text of a `.list` without the paths a package lost."""
    return "".join(f"{entry.path}\n" for entry in paths if entry.path not in lost)
