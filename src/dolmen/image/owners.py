"""True owners, modes and capabilities of what packages ship, for trees that keep them.

dpkg gives each file to the user and group that its archive names, looked up in the target's passwd
and group (`tarobject_set_perms`); a directory that is there already keeps its own. The lookup is
done here before the merge is checked out, so by the numbers of base-passwd's master files for the
base, and by those that the configured base has for the other packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.image.placement import Placement
from dolmen.model import LockedPackage
from dolmen.store import PackageTree, PathEntry, Store
from dolmen.store.builder import TreeBuilder
from dolmen.support.errors import PackageError

_MASTERS = ("/usr/share/base-passwd/passwd.master", "/usr/share/base-passwd/group.master")
_SPECIAL = 0o7000


@dataclass(frozen=True, slots=True)
class Names:
    """Numbers of users and groups by name."""

    users: Mapping[str, int]
    groups: Mapping[str, int]


def read_names(passwd: str, group: str) -> Names:
    """From passwd(5) and group(5)."""
    return Names(_numbers(passwd), _numbers(group))


def names_of_tree(tree: Path) -> Names:
    """From a configured tree's own files."""
    return read_names((tree / "etc/passwd").read_text(), (tree / "etc/group").read_text())


def master_names(store: Store, trees: Iterable[PackageTree]) -> Names:
    """From the files that base-passwd makes the first passwd and group of."""
    found = {e.path: e.digest for tree in trees for e in tree.paths if e.path in _MASTERS}
    if len(found) < len(_MASTERS):
        return Names({"root": 0}, {"root": 0})
    return read_names(*(store.read_object(found[path]).decode() for path in _MASTERS))


def give_owners(
    builder: TreeBuilder,
    packages: Sequence[tuple[LockedPackage, PackageTree]],
    placements: Mapping[tuple[str, str], Placement],
    names: Names,
    *,
    taken: Iterable[PackageTree] = (),
) -> None:
    """Give what the merge made canonical its true owners and modes.

    `taken`: packages whose directories are there already. Raises PackageError ("unknown-owner").
    """
    directories = {e.merged for tree in taken for e in tree.paths if e.kind == "d"}
    for package, tree in packages:
        placement = placements[package.key]
        for entry in tree.paths:
            path = entry.merged
            if entry.kind == "d":
                if path in directories:
                    continue
                directories.add(path)
            elif path in placement.skip:
                continue
            if _is_canonical(entry):
                continue
            uid = _number(names.users, entry.uname, package, entry)
            gid = _number(names.groups, entry.gname, package, entry)
            xattrs = tuple((name, bytes.fromhex(value)) for name, value in entry.xattrs)
            builder.give(placement.renames.get(path, path), entry.mode, uid, gid, xattrs)


def _is_canonical(entry: PathEntry) -> bool:
    return (
        entry.uname == "root"
        and entry.gname == "root"
        and not entry.xattrs
        and (entry.kind == "l" or not entry.mode & _SPECIAL)
    )


def _number(table: Mapping[str, int], name: str, package: LockedPackage, entry: PathEntry) -> int:
    if name in table:
        return table[name]
    if name.isdecimal() and int(name) < 65536:
        return int(name)
    raise PackageError(
        f"{package.name} ships {entry.path} for {name!r}, whom the base does not know",
        reason="unknown-owner",
        context=str(package),
        hint=f"leave the package out: dolmen remove {package.name}",
    )


def _numbers(text: str) -> dict[str, int]:
    rows = (line.split(":") for line in text.splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) > 2 and row[2].isdecimal()}
