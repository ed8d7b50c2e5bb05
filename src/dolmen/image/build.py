"""Lock -> image: import, compose, configure, normalise, commit; every step cached by its inputs."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dolmen import archive, sandbox
from dolmen.image import bytecode
from dolmen.image.admin import (
    ADMIN,
    INFO,
    Diversion,
    extended_states,
    info_name,
    parse_diversions,
)
from dolmen.image.closure import base_packages, configuration_order
from dolmen.image.compose import Closure, compose_base, compose_image
from dolmen.image.configure import Plan, configure
from dolmen.image.early import needed_first
from dolmen.image.joined import Joined
from dolmen.image.mounting import mount_points
from dolmen.image.normalise import dropped, normalise
from dolmen.image.reclaiming import reclaim
from dolmen.model import Lock, LockedPackage, Sha256
from dolmen.model.digest import digest_text
from dolmen.store import Image, PackageTree, Store
from dolmen.store.builder import TreeBuilder
from dolmen.store.checkout import Wanted
from dolmen.store.control import check_identity, parse_control
from dolmen.store.objects import Attributes, Objects
from dolmen.support.clock import monotonic
from dolmen.support.errors import PackageError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore

#: Part of every key: a change of what a build does to its inputs raises it ("rebuilds all").
BUILDER = 1
#: The same for what only trees with true owners have.
TREE_BUILDER = 1


#: Told of the packages' files below /usr, path -> object, before the packages' scripts run.
Composed = Callable[[Objects, Mapping[str, Sha256]], None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must make no difference to an image; `verify` varies it."""

    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str = "dolmen"


def image_key(lock: Lock) -> Sha256:
    """What an image is cached under."""
    return digest_text(f"image {BUILDER}\n{lock.digest()}")


def tree_key(lock: Lock) -> Sha256:
    """What the configured tree of a lock with true owners is cached under."""
    return digest_text(f"tree {BUILDER} {TREE_BUILDER}\n{lock.digest()}")


def base_key(lock: Lock, base: Sequence[LockedPackage], *, true_owners: bool = False) -> Sha256:
    """What a base is cached under: its packages; whoever asks for them makes no difference."""
    kind = f"tree-base {TREE_BUILDER}" if true_owners else "base"
    lines = [f"{kind} {BUILDER}", lock.architecture]
    lines += [f"{p.name} {p.architecture} {p.version} {p.sha256}" for p in base]
    return digest_text("\n".join(lines))


def build(
    lock: Lock, store: Store, *, emit: Emit = ignore, conditions: Conditions | None = None
) -> Image:
    """Make the image of a lock, or find it made; realised in the store when this returns.

    Raises ArchiveError (fetching), PackageError (hostile or failing packages), StoreError,
    HostError (sandbox).
    """
    key = image_key(lock)
    image = store.image(key)
    if image is not None:
        return image
    # The store is held throughout: until it is recorded, nothing keeps an image from a collector.
    with store.locked(emit=emit), store.locked(f"image-{key}", shared=False, emit=emit):
        image = store.image(key)
        if image is not None:
            return image
        builder = _Build(lock, store, emit, conditions or Conditions())
        return builder.image(key)


def build_tree(
    lock: Lock,
    store: Store,
    *,
    emit: Emit = ignore,
    conditions: Conditions | None = None,
    composed: Composed | None = None,
) -> Image:
    """Make the configured tree of a lock with true owners, special bits and capabilities.

    It is what a chroot of these packages is: systems are made from it. Not realised. Needs root or
    subordinate ids. `composed` is not called where the tree is found made. Raises what `build`
    raises; HostError ("no-subordinate-ids", …).
    """
    key = tree_key(lock)
    with store.locked(emit=emit), store.locked(f"image-{key}", shared=False, emit=emit):
        image = store.image(key)
        if image is not None:
            return image
        sandbox.identities()
        reclaim(store)
        conditions = conditions or Conditions()
        builder = _Build(lock, store, emit, conditions, true_owners=True, composed=composed)
        return builder.image(key)


@contextlib.contextmanager
def true_checkout(builder: TreeBuilder, directory: Path) -> Iterator[None]:
    """Check a tree out with the owners that it has; given back to us at the end, to be removed."""
    wanted: Wanted = {}
    builder.checkout(directory, wanted=wanted)
    given = {
        name: sandbox.Owner(a.permissions, a.uid, a.gid, a.xattrs) for name, a in wanted.items()
    }
    ours = {name: sandbox.Owner(0o755, 0, 0) for name, a in wanted.items() if stat.S_ISDIR(a.mode)}
    try:
        if given:
            sandbox.give(directory, given)
        yield
    finally:
        if ours:
            sandbox.give(directory, ours)


def settle(upper: Path) -> dict[str, Attributes]:
    """Take over an upper directory and say what was true of it."""
    found: dict[str, Attributes] = {}
    for name, owner in sandbox.settle(upper).items():
        kind = stat.S_IFMT((upper / name[1:]).lstat().st_mode)
        found[name] = Attributes(kind | owner.mode, owner.uid, owner.gid, owner.xattrs)
    return found


def _check(tree: PackageTree, package: LockedPackage) -> None:
    """What the import did for the lock of its day: refuse a lock that names it otherwise."""
    try:
        check_identity(parse_control(tree.control.encode()), package)
    except PackageError as error:
        error.message = f"{package.name} {package.version} is not what was locked: {error.message}"
        error.hint = "restore dolmen.lock from version control, or solve again: dolmen lock"
        raise


def _files(builder: TreeBuilder, closure: Closure) -> Iterator[tuple[str, Sha256]]:
    """The packages' files below /usr as they lie in the tree."""
    for tree in closure.trees.values():
        for entry in tree.paths:
            if entry.kind in ("f", "h") and (path := entry.merged).startswith("usr/"):
                found = builder.find(path)
                if found is not None:
                    yield path, found


class _Build:
    """One build: what its steps share."""

    def __init__(
        self,
        lock: Lock,
        store: Store,
        emit: Emit,
        conditions: Conditions,
        *,
        true_owners: bool = False,
        composed: Composed | None = None,
    ) -> None:
        self.true_owners = true_owners
        self.lock = lock
        self.store = store
        self.emit: Emit = emit
        self.conditions = conditions
        self.composed = composed
        order = configuration_order(lock)
        self.base_packages = base_packages(lock)
        base = {p.key for p in self.base_packages}
        self.base_key = base_key(lock, self.base_packages, true_owners=true_owners)
        self.interpreter = bytecode.interpreter_key(lock)
        self.extra_packages = tuple(p for p in order if p.key not in base)

    def image(self, key: Sha256) -> Image:
        base = self.store.image(self.base_key)
        missing = [p for p in self.lock.packages if not self.store.has_package(p.sha256)]
        base_keys = {p.key for p in self.base_packages}
        first = [p for p in missing if p.key in base_keys]
        rest = [p for p in missing if p.key not in base_keys]
        parts = bool(first) + bool(rest)
        configured = (base is None) + bool(self.extra_packages)
        self.emit = Joined(
            self.emit,
            {Phase.FETCH: parts, Phase.IMPORT: parts, Phase.CONFIGURE: configured},
        )
        self.fetch(first)
        if base is None:
            # The base needs one processor, mostly; the other packages are imported meanwhile.
            with ThreadPoolExecutor(1, thread_name_prefix="base") as pool:
                future = pool.submit(self.base)
                self.fetch(rest)
                base = future.result()
        else:
            self.fetch(rest)
        closure = self.closure(self.extra_packages)
        image = self.extend(closure, base, key) if closure.extra else self.mark(base, key)
        if not self.true_owners:
            self.store.realise(image, emit=self.emit)
        self.store.record_image(key, image)
        return image

    def fetch(self, wanted: Sequence[LockedPackage]) -> None:
        if wanted:
            debs = archive.fetch(self.lock, wanted, cache=self.store.debs, emit=self.emit)
            self.store.import_packages(debs, emit=self.emit)

    def closure(self, extra: tuple[LockedPackage, ...]) -> Closure:
        packages = (*self.base_packages, *extra)
        trees = {p.sha256: self.store.package(p.sha256) for p in packages}
        for package in packages:
            _check(trees[package.sha256], package)
        return Closure(self.lock, self.base_packages, extra, trees, self.true_owners)

    def base(self) -> Image:
        with self.store.locked(f"base-{self.base_key}", shared=False, emit=self.emit):
            image = self.store.image(self.base_key)
            if image is not None:
                return image
            closure = self.closure(())
            plan = Plan(
                packages=closure.base,
                preinst=self.with_preinst(closure, closure.base),
                first=("base-passwd", "base-files"),
                force=True,
                dpkg_version=self.dpkg_version(),
            )
            with self.store.tree_builder() as builder:
                compose_base(builder, self.store, closure)
                image = self.configured(builder, closure, plan, self.base_key, ())
            self.store.realise(image)
            self.store.record_image(self.base_key, image)
            return image

    def extend(self, closure: Closure, base: Image, key: Sha256) -> Image:
        base_tree = self.store.realise(base, emit=self.emit)
        began = monotonic()
        self.emit(PhaseStarted(Phase.COMPOSE, len(closure.extra)))
        preinst = self.with_preinst(closure, closure.extra)
        diversions = self.diversions(closure, base, base_tree, preinst)
        with self.store.tree_builder() as builder:
            compose_image(
                builder,
                self.store,
                closure,
                base=base.commit,
                base_tree=base_tree,
                diversions=diversions,
            )
            if self.interpreter:
                bytecode.merge_known(builder, self.store, closure.extra_trees(), self.interpreter)
            self.emit(PhaseFinished(Phase.COMPOSE, len(self.lock.packages), monotonic() - began))
            plan = Plan(
                packages=closure.extra,
                preinst=preinst,
                early=self.early(closure, preinst),
                dpkg_version=self.dpkg_version(),
            )
            if self.composed is not None:
                self.composed(builder.objects, dict(_files(builder, closure)))
            return self.configured(builder, closure, plan, key, self.lock.packages)

    def early(
        self, closure: Closure, preinst: frozenset[tuple[str, str]]
    ) -> frozenset[tuple[str, str]]:
        extra = {p.key: p for p in closure.extra}
        return needed_first(self.lock, extra, preinst, closure.tree, self.store.read_object)

    def mark(self, base: Image, key: Sha256) -> Image:
        """An image of the base's packages alone: the base, with apt's marks."""
        with self.store.tree_builder() as builder:
            builder.merge_commit(base.commit)
            self.finish(builder, self.lock.packages)
            return builder.commit()

    def configured(
        self,
        builder: TreeBuilder,
        closure: Closure,
        plan: Plan,
        key: Sha256,
        marked: Sequence[LockedPackage],
    ) -> Image:
        """Configure a composed tree, lay what the scripts changed over it, commit."""
        with self.store.scratch() as scratch, self.checked_out(builder, scratch) as lower:
            began = monotonic()
            self.emit(PhaseStarted(Phase.CONFIGURE, len(plan.packages)))
            with self.settled(scratch) as owners:
                upper = self.run(plan, lower, scratch, key)
            self.emit(PhaseFinished(Phase.CONFIGURE, len(plan.packages), monotonic() - began))
            began = monotonic()
            self.emit(PhaseStarted(Phase.COMMIT))
            normalise(upper)
            builder.apply_upper(upper, drop=dropped, owners=owners)
            self.finish(builder, marked)
            if self.interpreter:
                trees = [(p, closure.tree(p)) for p in plan.packages]
                bytecode.keep_new(builder, self.store, upper, trees, self.interpreter)
            image = builder.commit()
            self.emit(PhaseFinished(Phase.COMMIT, 1, monotonic() - began))
            return image

    @contextlib.contextmanager
    def checked_out(self, builder: TreeBuilder, scratch: Path) -> Iterator[Path]:
        """The tree as a directory; as long as it is used, with true owners where they are kept."""
        lower = scratch / "tree"
        if not self.true_owners:
            builder.checkout(lower)
            yield lower
            return
        with true_checkout(builder, lower):
            yield lower

    @contextlib.contextmanager
    def settled(self, scratch: Path) -> Iterator[dict[str, Attributes]]:
        """What is true of the upper directory, once the scripts have ended; ours to read then."""
        owners: dict[str, Attributes] = {}
        try:
            yield owners
        finally:
            if self.true_owners and (scratch / "upper").is_dir():
                owners |= settle(scratch / "upper")

    def finish(self, builder: TreeBuilder, marked: Sequence[LockedPackage]) -> None:
        if not self.true_owners:
            mount_points(builder)
        if marked:
            text = extended_states(marked, self.lock.architecture)
            builder.add_file("var/lib/apt/extended_states", text.encode())

    def diversions(
        self,
        closure: Closure,
        base: Image,
        base_tree: Path,
        preinst: frozenset[tuple[str, str]],
    ) -> tuple[Diversion, ...]:
        """What is diverted once all preinsts ran: known before the merge, as dpkg knows it.

        The preinsts that may divert run once on the base alone; only their list is kept.
        """
        known = parse_diversions((base_tree / ADMIN / "diversions").read_text())
        diverters = [p for p in closure.extra if p.key in preinst and self.diverts(closure, p)]
        if not diverters:
            return known
        plan = Plan(
            packages=diverters,
            preinst=preinst,
            dpkg_version=self.dpkg_version(),
            preinst_only=True,
        )
        with self.store.tree_builder() as builder, self.store.scratch() as scratch:
            builder.merge_commit(base.commit)
            for package in diverters:
                checksum = closure.tree(package).members["preinst"]
                builder.link(f"{INFO}/{info_name(package)}.preinst", checksum)
            with self.checked_out(builder, scratch) as lower, self.settled(scratch):
                upper = self.run(plan, lower, scratch, image_key(self.lock))
            changed = upper / ADMIN / "diversions"
            return parse_diversions(changed.read_text()) if changed.exists() else known

    def diverts(self, closure: Closure, package: LockedPackage) -> bool:
        script = self.store.read_object(closure.tree(package).members["preinst"])
        return b"dpkg-divert" in script

    def run(self, plan: Plan, lower: Path, scratch: Path, key: Sha256) -> Path:
        logs = self.store.path / "logs"
        logs.mkdir(exist_ok=True)
        return configure(
            plan,
            lower=lower,
            scratch=scratch,
            log=logs / f"{key}.log",
            emit=self.emit,
            environment=self.conditions.environment,
            hostname=self.conditions.hostname,
            true_owners=self.true_owners,
        )

    def with_preinst(
        self, closure: Closure, packages: Sequence[LockedPackage]
    ) -> frozenset[tuple[str, str]]:
        return frozenset(p.key for p in packages if "preinst" in closure.tree(p).members)

    def dpkg_version(self) -> str:
        dpkg = self.lock.find("dpkg")
        return dpkg.version if dpkg else ""
