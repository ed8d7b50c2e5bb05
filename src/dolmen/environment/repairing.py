"""Mending what a check found: from trees, .debs and locks, byte for byte, or not at all.

What is missing or damaged is made again beside the store (its .debs imported, its images built,
in a store of their own) and taken over where it is exactly what the names in ours promise; see
store.mending for how. What cannot be made again stays as it is, and is told with the reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.checking import Report, check, damaged
from dolmen.environment.layout import Environment
from dolmen.environment.needs import NeedsReader, needs_of
from dolmen.image import build as build_image
from dolmen.image import image_key
from dolmen.model import Lock, LockedPackage, Sha256
from dolmen.store import Image, Store
from dolmen.store.collect import quarantines
from dolmen.store.fsck import Fault, file_digest
from dolmen.store.mending import Mender
from dolmen.store.reading import Reading
from dolmen.store.realised import check_tree
from dolmen.store.roots import Lease, root_name
from dolmen.store.running import quarantines_in_use
from dolmen.store.usage import ObjectName
from dolmen.support.errors import DolmenError, PackageError
from dolmen.support.events import Emit, ignore
from dolmen.support.files import remove_tree, symlink_atomic

Build = Callable[[Lock, Store, Emit], Image]
#: Faults of an object that its content does not suffer from.
_BESIDE = ("mode", "time", "xattr", "owner")
_MAX_ROUNDS = 5


@dataclass(slots=True)
class Repaired:
    """What came of a repair; `left` is what is wrong still, `reasons` why.

    `plan`: of a dry run, each fault with what would be tried. `quarantine`: where that lies which
    was replaced.
    """

    found: list[Fault] = field(default_factory=list)
    left: list[Fault] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    plan: list[tuple[Fault, str]] = field(default_factory=list)
    quarantine: tuple[Path, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all is well now."""
        return not self.left


def repair(
    store: Store,
    *,
    dry_run: bool = False,
    peers: Sequence[str] = (),
    emit: Emit = ignore,
    build: Build | None = None,
) -> Repaired:
    """Mend the store and its environments; safe to interrupt, and to begin again.

    `peers`: paths or addresses of other stores and repositories. `build` makes an image in another
    store (the tests have their own). Raises BusyError, StoreError ("store-full" …); what cannot be
    mended is no error here.
    """
    with store.locked("store", shared=False, emit=emit):
        report = check(store, emit=emit)
        if report.whole:
            return Repaired()
        if dry_run:
            plan = [(fault, _plan(store, report, fault, peers)) for fault in report.faults]
            return Repaired(report.faults, report.faults, plan=plan)
        first, reasons, quarantine, rounds = report.faults, [], [], 0
        while True:
            with store.scratch() as work:
                attempt = _Repair(store, report, work, emit, build or _build, peers)
                attempt.run()
            reasons += attempt.reasons
            quarantine += [attempt.mender.quarantine] if attempt.mender.quarantine else []
            before, report = set(report.faults), check(store, emit=emit)
            rounds += 1
            # What was hidden behind a fault shows when that is mended.
            hidden = set(report.faults) - before or before - set(report.faults)
            if report.whole or not hidden or rounds == _MAX_ROUNDS:
                break
    reasons = [*reasons, *_reasons(report)] if report.faults else []
    return Repaired(
        first,
        report.faults,
        list(dict.fromkeys(reasons)),
        quarantine=tuple(quarantine),
    )


def forget(store: Store, *, emit: Emit = ignore) -> int:
    """Delete what repairs have put aside, if all is well; how many repairs that were.

    What a program runs from stays. Raises StoreError ("store-damaged"), BusyError.
    """
    with store.locked("store", shared=False, emit=emit):
        waiting = quarantines(store.path)
        if not waiting:
            return 0
        report = check(store, emit=emit)
        if not report.whole:
            raise damaged(report)
        used = quarantines_in_use()
        gone = [path for path in waiting if path.name not in used]
        for path in gone:
            remove_tree(path)
    return len(gone)


def _build(lock: Lock, store: Store, emit: Emit) -> Image:
    return build_image(lock, store, emit=emit)


class _Repair:
    def __init__(
        self,
        store: Store,
        report: Report,
        work: Path,
        emit: Emit,
        build: Build,
        peers: Sequence[str],
    ) -> None:
        self.store = store
        self.report = report
        self.emit: Emit = emit
        self.build = build
        self.peers = peers
        self.work = work
        self.spare = Store.open(work / "spare")
        self.mender = Mender(store, work)
        self.reasons: list[str] = []
        self.bad: dict[ObjectName, Fault] = {}
        for fault in report.faults:
            if fault.part == "object":
                checksum, _, kind = fault.name.partition(".")
                self.bad[checksum, kind] = fault
        #: Refs that want something from a source: held damaged objects, or are damaged themselves.
        self.refs = {
            ref
            for fault in report.faults
            if fault.part in ("ref", "package")
            or (fault.part == "object" and fault.what not in _BESIDE)
            for ref in fault.refs
        }

    def run(self) -> None:
        self.mend_directories()
        self.in_place()
        self.from_trees()
        self.from_peers()
        self.from_debs()
        self.from_locks()
        self.mend_refs()
        self.unneeded()
        self.mend_pointers()
        self.mend_trees()
        self.mend_debs()
        self.mend_roots()
        self.mend_generations()

    def mend_directories(self) -> None:
        for fault in self._faults("directory"):
            with self._trying(fault.name):
                self.mender.directory(Path(fault.path))

    # Objects

    def in_place(self) -> None:
        for checksum, kind in list(self.bad):
            if self.mender.in_place(checksum, kind):
                del self.bad[checksum, kind]

    def from_trees(self) -> None:
        """What lost its name, or is a copy in a realised tree."""
        candidates = []
        for (checksum, kind), fault in self.bad.items():
            images = [ref[6:] for ref in fault.refs if ref.startswith("image/")]
            if kind == "file" and images:
                for image in images:
                    path = f"{self.store.trees / image}{fault.path}"
                    found = self.mender.copy(path, checksum)
                    if found is not None:
                        candidates.append(found)
                        break
        self._mended(self.mender.put(candidates))

    def from_peers(self) -> None:
        """The very objects, from whoever has them; directories that come bring their children."""
        from dolmen.environment.peering import open_peer

        for number, name in enumerate(self.peers):
            if not self.bad:
                return
            with self._trying(f"peer {name}"):
                peer = open_peer(name, self.work / f"peer-{number}")
                asked: set[ObjectName] = set()
                while wanted := {n for n in self.bad if n[1] != "commitmeta"} - asked:
                    asked |= wanted
                    there = [(n, peer.file(n, self.work)) for n in sorted(wanted)]
                    mended = self.mender.put([(n, str(path)) for n, path in there if path])
                    self._mended(mended)
                    for lost in self.mender.lost_below(mended):
                        self.bad[lost] = Fault("object", "missing", ".".join(lost))

    def from_debs(self) -> None:
        """Import the packages again that suffer."""
        wanted = {ref[4:] for ref in self.refs if ref.startswith("deb/")}
        if not wanted or not (self.bad or self._bad_refs("deb/")):
            return
        debs = []
        for sha256 in sorted(wanted):
            with self._trying(f"package {sha256[:16]}…"):
                package, lock, directory = self._package(sha256)
                debs.append((package, self._deb(package, lock, directory)))
        try:
            self.spare.import_packages(debs, emit=self.emit)
        except PackageError:  # nothing of them was kept, so one by one
            for one in debs:
                with self._trying(f"package {one[0].sha256[:16]}…"):
                    self.spare.import_packages([one], emit=self.emit)
        self._mended(self.mender.take(self.spare.path / "repo", self.bad))

    def from_locks(self) -> None:
        """Build the images again that still suffer, and those whose .debs are not all there."""
        held = {ref for fault in self.bad.values() for ref in fault.refs} | self._bad_refs("")
        if not self.bad and not any(ref.startswith("image/") for ref in held):
            return
        for root, known in self.report.images.items():
            ref = f"image/{root}"
            if known.lock is None:
                continue
            suffers = ref in held and not (
                not self.bad and self.mender.is_commit_of(known.commit, ref)
            )
            if not suffers and not held & needs_of(Sha256(root), known.lock).refs:
                continue
            with self._trying(f"image {root[:16]}…"):
                self._share_debs(known.lock, known.directory)
                image = self.build(known.lock, self.spare, self.emit)
                if image.root != root:
                    self.reasons.append(
                        f"image {root[:16]}…: its lock gives another one now ({image.root[:16]}…)"
                    )
                self._mended(self.mender.take(self.spare.path / "repo", self.bad))

    def unneeded(self) -> None:
        """What nobody needs, and would be taken for good by the next import."""
        if any(kind != "file" for _, kind in self.bad) or self._bad_refs(""):
            return  # what a damaged directory or ref held cannot be told from that; a round later
        for name, fault in list(self.bad.items()):
            if not fault.refs and fault.what != "missing":
                with self._trying(fault.name):
                    self.mender.aside(Path(self.mender.objects.path(*name)))
                    del self.bad[name]

    def _mended(self, names: Iterable[ObjectName]) -> None:
        for name in names:
            self.bad.pop(name, None)

    def _package(self, sha256: str) -> tuple[LockedPackage, Lock | None, Path | None]:
        for lock, directory in self.report.locks:
            for package in lock.packages:
                if package.sha256 == sha256:
                    return package, lock, directory
        return _without_lock(self.store.debs / f"{sha256}.deb"), None, None

    def _deb(self, package: LockedPackage, lock: Lock | None, directory: Path | None) -> Path:
        from dolmen import archive
        from dolmen.environment.placing import bring

        path = self.store.debs / f"{package.sha256}.deb"
        if file_digest(path) == package.sha256:
            return path
        if package.is_local and directory is not None:
            bring(directory, package, self.spare.debs)
            return self.spare.debs / path.name
        if lock is None:
            raise DolmenError("its .deb is not here, and no lock says where to fetch it")
        fetched = archive.fetch(lock, [package], cache=self.store.debs, emit=self.emit)
        return next(there for _, there in list(fetched))

    def _share_debs(self, lock: Lock, directory: Path) -> None:
        from dolmen.environment.placing import bring

        for package in lock.packages:
            name = f"{package.sha256}.deb"
            if (self.spare.debs / name).exists():
                continue
            if file_digest(self.store.debs / name) == package.sha256:
                os.link(self.store.debs / name, self.spare.debs / name)
            elif package.is_local:
                bring(directory, package, self.spare.debs)

    # What refers to them

    def _bad_refs(self, beginning: str) -> set[str]:
        return {
            fault.name
            for fault in self.report.faults
            if fault.part == "ref" and fault.name.startswith(beginning)
        }

    def mend_refs(self) -> None:
        for ref in sorted(self._bad_refs("")):
            kind, _, name = ref.partition("/")
            candidates = [self.spare.resolve(ref)]
            if kind == "image" and name in self.report.images:
                candidates.append(Sha256(self.report.images[name].commit))
            for commit in candidates:
                if commit is not None and self.mender.is_commit_of(commit, ref):
                    self.mender.ref(ref, commit)
                    break
            else:
                if kind == "pyc":  # a cache: the next build makes it again
                    self.mender.aside(self.store.path / "repo/refs/heads" / ref)

    def mend_pointers(self) -> None:
        known = {
            image_key(known.lock): root for root, known in self.report.images.items() if known.lock
        }
        for fault in self._faults("pointer"):
            root = known.get(Sha256(fault.name))
            with self._trying(f"pointer {fault.name}"):
                if root is not None and self.store.resolve(f"image/{root}") is not None:
                    self.mender.pointer(fault.name, root)
                else:  # a cache: the next build makes it again
                    self.mender.aside(self.store.images / fault.name)

    def mend_trees(self) -> None:
        """Realised trees that are missing or differ, and those that hold what was replaced."""
        reading = Reading(self.mender.objects)
        suspects = {fault.name for fault in self._faults("tree")}
        if self.mender.replaced or self._bad_refs("image/"):
            suspects |= {path.name for path in self.store.trees.iterdir()}
        for root in sorted(suspects):
            commit = self.store.resolve(f"image/{root}")
            path = self.store.trees / root
            if commit is None or not self.mender.is_commit_of(commit, f"image/{root}"):
                continue
            if any(True for _ in check_tree(reading, commit, path, {}, quick=False)):
                with self._trying(f"tree {root[:16]}…"):
                    self.mender.tree(root, commit)

    def mend_debs(self) -> None:
        for fault in self._faults("deb"):
            with self._trying(f"deb {fault.name}"):
                self._deb(*self._package(fault.name.removesuffix(".deb")))

    def mend_roots(self) -> None:
        for fault in self._faults("root"):
            path = Path(fault.path)
            with self._trying(f"root {fault.name}"):
                if path.parent.name == "leases":
                    self.mender.aside(path)  # without one everything is kept
                    for directory in self.store.roots():
                        needs = NeedsReader().of_directory(directory)
                        if root_name(directory) == path.name and needs is not None:
                            self.store.write_lease(directory, Lease(needs))
                    continue
                if path.is_symlink():
                    self.store.add_root(Path(os.readlink(path)))
                self.mender.aside(path)

    def mend_generations(self) -> None:
        """Links to trees; the rest of a generation has no second copy."""
        for fault in self._faults("generation"):
            path = Path(fault.path)
            if path.name != generations.TREE:
                continue
            with self._trying(fault.name):
                environment = Environment(path.parents[3])
                record = generations.read(environment, int(path.parent.name))
                if record.tree == self.store.trees / record.generation.image:
                    symlink_atomic(path, str(record.tree))

    def _faults(self, part: str) -> list[Fault]:
        return [fault for fault in self.report.faults if fault.part == part]

    @contextlib.contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        """What fails is told, and the rest goes on."""
        try:
            yield
        except (DolmenError, OSError, ValueError) as error:
            if getattr(error, "reason", "") in ("store-full", "interrupted"):
                raise
            self.reasons.append(f"{what}: {getattr(error, 'message', error)}")


def _without_lock(deb: Path) -> LockedPackage:
    """What a lock would say about a .deb that no lock at hand names."""
    from dolmen.model.stanza import parse_stanzas
    from dolmen.store.local import read_deb

    try:
        found = read_deb(deb, deb.name)
    except OSError:
        raise DolmenError("its .deb is not here, and no lock says where to fetch it") from None
    stanzas, _ = parse_stanzas(found.control)
    fields = {f.name.lower(): f.value for f in stanzas[0].fields} if stanzas else {}
    return LockedPackage(
        name=fields.get("package", ""),
        version=fields.get("version", ""),
        architecture=fields.get("architecture", ""),
        sha256=Sha256(deb.name.removesuffix(".deb")),
        size=found.size,
        filename=deb.name,
        release=0,
    )


def _reasons(report: Report) -> list[str]:
    """Why what is left cannot be mended, and what to do."""
    found = []
    for fault in report.faults:
        images = [ref[6:] for ref in fault.refs if ref.startswith("image/")]
        for image in images:
            known = report.images.get(image)
            if known is None:
                found.append(f"image {image[:16]}…: no generation at hand has its lock")
            elif known.modified:
                found.append(
                    f"image {image[:16]}…: was kept as it was (keep --as-is), so no lock gives it"
                )
        if fault.part == "environment":
            found.append(f"{fault.name}: go to a generation that is whole: dolmen switch N")
        elif fault.part == "generation":
            found.append(f"{fault.name}: it has no second copy: dolmen generations remove N")
    return found


def _plan(store: Store, report: Report, fault: Fault, peers: Sequence[str]) -> str:
    """What would be tried, in a few words; nothing is fetched to find out."""
    if fault.part == "object":
        if fault.what in _BESIDE:
            return "set right in place"
        if not fault.refs:
            return "put aside: nobody needs it"
        if peers:
            return f"ask {peers[0]}" + (f" and {len(peers) - 1} more" if peers[1:] else "")
    if fault.part in ("object", "ref", "package", "deb"):
        debs = [ref[4:] for ref in fault.refs if ref.startswith("deb/")]
        locked = {p.sha256 for lock, _ in report.locks for p in lock.packages}
        for sha256 in debs:
            if fault.part != "deb" and (store.debs / f"{sha256}.deb").exists():
                return f"import {sha256[:16]}….deb again"
            if sha256 in locked:
                return f"fetch {sha256[:16]}….deb again"
        images = [report.images.get(ref[6:]) for ref in fault.refs if ref.startswith("image/")]
        if any(known is not None and known.lock is not None for known in images):
            return "build its image again"
        return "no source is known, unless a realised tree has a copy"
    if fault.part in ("tree", "directory"):
        return "make it again" if fault.what != "mode" else "set it right"
    if fault.part in ("pointer", "root"):
        return "point it at the right thing, or put it aside"
    link = fault.part == "generation" and Path(fault.path).name == generations.TREE
    return "link it again" if link else "cannot be mended: no second copy"
