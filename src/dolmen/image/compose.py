"""Merges package trees into one tree, metadata only, with a dpkg database that is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.image.admin import (
    ADMIN,
    INFO,
    Diversion,
    Triggers,
    activated_paths,
    info_name,
    parse_file_triggers,
    render_diversions,
    status_stanza,
)
from dolmen.image.owners import give_owners, master_names, names_of_tree
from dolmen.image.placement import Placement, merged, owned, place
from dolmen.model import Lock, LockedPackage, Sha256
from dolmen.store import PackageTree, Store
from dolmen.store.builder import TreeBuilder

#: Which further library directories a merged /usr has, by architecture (debootstrap's
#: setup_merged_usr); only for releases whose base-files does not ship the links itself.
_MULTILIB: Mapping[str, tuple[str, ...]] = {
    "amd64": ("lib32", "lib64", "libx32"),
    "i386": ("lib64", "libx32"),
    "loong64": ("lib32", "lib64"),
    "mips64el": ("lib32", "lib64", "libo32"),
    "ppc64el": ("lib64",),
    "s390x": ("lib32",),
    "x32": ("lib32", "lib64", "libx32"),
}


@dataclass(frozen=True, slots=True)
class Closure:
    """The packages of a build in configuration order: those of the base, and the others.

    `true_owners`: whether the tree keeps the owners, special bits and capabilities of packages.
    """

    lock: Lock
    base: tuple[LockedPackage, ...]
    extra: tuple[LockedPackage, ...]
    trees: Mapping[Sha256, PackageTree]
    true_owners: bool = False

    def tree(self, package: LockedPackage) -> PackageTree:
        """The imported tree of a package."""
        return self.trees[package.sha256]

    def extra_trees(self) -> list[tuple[LockedPackage, PackageTree]]:
        """The packages that do not belong to the base, with their trees."""
        return [(p, self.tree(p)) for p in self.extra]


def compose_base(builder: TreeBuilder, store: Store, closure: Closure) -> None:
    """Merge the base's packages into an empty tree."""
    placements = place(closure.base, closure.trees, (), compare_versions)
    for package in closure.base:
        _merge(builder, closure.tree(package), placements[package.key])
    if closure.true_owners:
        trees = [(p, closure.tree(p)) for p in closure.base]
        names = master_names(store, [tree for _, tree in trees])
        give_owners(builder, trees, placements, names)
    _merge_usr(builder, closure)
    for directory in ("info", "triggers", "updates", "alternatives", "parts"):
        builder.add_directory(f"{ADMIN}/{directory}")
    builder.add_file(f"{INFO}/format", b"1\n")
    builder.add_file(f"{ADMIN}/arch", _lines(closure.lock.architectures))
    for name in ("diversions", "statoverride", "available", "triggers/Unincorp"):
        builder.add_file(f"{ADMIN}/{name}", b"")
    _record(builder, store, closure, closure.base, placements, None)


def compose_image(
    builder: TreeBuilder,
    store: Store,
    closure: Closure,
    *,
    base: Sha256,
    base_tree: Path,
    diversions: Sequence[Diversion],
) -> None:
    """Merge the base and the other packages.

    `base`: the base's commit; `base_tree`: a checkout of it. `diversions`: all that hold once the
    preinsts have run.
    """
    builder.merge_commit(base)
    before = place(closure.base, closure.trees, (), compare_versions)
    placements = place((*closure.base, *closure.extra), closure.trees, diversions, compare_versions)
    for package in closure.base:
        _amend(builder, closure.tree(package), before[package.key], placements[package.key])
    for package in closure.base:
        lost = placements[package.key].lost - before[package.key].lost
        if lost:
            text = owned(closure.tree(package).paths, placements[package.key].lost)
            builder.add_file(f"{INFO}/{info_name(package)}.list", text.encode())
    for package in closure.extra:
        tree, placement = closure.tree(package), placements[package.key]
        for conffile in map(merged, tree.conffiles):
            if conffile not in placement.skip:
                path = placement.renames.get(conffile, conffile)
                placement.renames[conffile] = f"{path}.dpkg-new"
        _merge(builder, tree, placement)
    if closure.true_owners:
        taken = [closure.tree(p) for p in closure.base]
        names = names_of_tree(base_tree)
        give_owners(builder, closure.extra_trees(), placements, names, taken=taken)
    builder.add_file(f"{ADMIN}/arch", _lines(closure.lock.architectures))
    # Recorded before the preinsts run again: `dpkg-divert --rename` would refuse to move a file
    # onto the diverted one, which is in place already.
    builder.add_file(f"{ADMIN}/diversions", render_diversions(diversions).encode())
    _record(
        builder,
        store,
        closure,
        closure.extra,
        placements,
        base_tree,
    )


def compare_versions(first: str, second: str) -> int:
    """As dpkg compares; the library is loaded only when two packages claim one path."""
    from dolmen.archive import compare_versions as compare

    return compare(first, second)


def _merge(builder: TreeBuilder, tree: PackageTree, placement: Placement) -> None:
    builder.merge_package(tree.sha256, skip=placement.skip, renames=placement.renames)


def _merge_usr(builder: TreeBuilder, closure: Closure) -> None:
    top = {entry.path for p in closure.base for entry in closure.tree(p).paths if entry.kind == "l"}
    if "/bin" in top:
        return
    names = ("bin", "sbin", "lib", *_MULTILIB.get(closure.lock.architecture, ()))
    for name in names:
        builder.add_directory(f"usr/{name}")
        builder.add_symlink(name, f"usr/{name}")


def _amend(builder: TreeBuilder, tree: PackageTree, old: Placement, new: Placement) -> None:
    """Apply to a base that is merged already what further packages divert or replace."""
    for entry in tree.paths:
        path = entry.merged
        if entry.kind == "d" or path in old.skip:
            continue
        place_now = old.renames.get(path, path)
        place_then = None if path in new.skip else new.renames.get(path, path)
        if place_then == place_now:
            continue
        builder.remove(place_now)
        if place_then is None:
            continue
        if entry.kind == "l":
            builder.add_symlink(place_then, entry.target)
        else:
            builder.link(place_then, Sha256(entry.digest))


def _record(
    builder: TreeBuilder,
    store: Store,
    closure: Closure,
    packages: Sequence[LockedPackage],
    placements: Mapping[tuple[str, str], Placement],
    base_tree: Path | None,
) -> None:
    def before(name: str) -> str:
        path = base_tree / ADMIN / name if base_tree else None
        return path.read_text(errors="surrogateescape") if path and path.exists() else ""

    status, file_triggers = before("status"), before("triggers/File")
    triggers = Triggers()
    stanzas: list[str] = [status] if status else []
    paths: list[str] = []
    for package in packages:
        tree = closure.tree(package)
        name = info_name(package)
        for member, checksum in tree.members.items():
            if "." not in member:
                builder.link(f"{INFO}/{name}.{member}", checksum)
        placement = placements[package.key]
        if placement.lost:
            builder.add_file(f"{INFO}/{name}.list", owned(tree.paths, placement.lost).encode())
        else:
            builder.link(f"{INFO}/{name}.list", tree.list_object)
        if "triggers" in tree.members:
            text = store.read_object(tree.members["triggers"]).decode()
            triggers.add(package, text)
        waiting = base_tree is not None
        stanzas.append(status_stanza(tree.control, tree.conffiles, waiting=waiting))
        paths.extend(entry.path for entry in tree.paths)
    builder.add_file(
        f"{ADMIN}/status",
        "\n".join(s.rstrip("\n") + "\n" for s in stanzas).encode(errors="surrogateescape"),
    )
    # Packages that are still unpacked ignore activations by design (deb-triggers(5)): their own
    # postinst does the work. Those of the base are installed and must be told.
    fired = activated_paths(parse_file_triggers(file_triggers), paths) if file_triggers else []
    named = triggers.activated if status else []
    builder.add_file(
        f"{ADMIN}/triggers/Unincorp",
        "".join(f"{name} -\n" for name in sorted({*fired, *named})).encode(),
    )
    lines = sorted({*triggers.file_lines(), *file_triggers.splitlines()})
    builder.add_file(f"{ADMIN}/triggers/File", _lines(lines))
    for name, entries in triggers.named.items():
        known = before(f"triggers/{name}").splitlines()
        builder.add_file(f"{ADMIN}/triggers/{name}", _lines(sorted({*known, *entries})))


def _lines(values: Sequence[str]) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()
