"""What becomes of a trial: a generation from the lock, a generation as it is, or nothing.

`keep` reads which packages apt and dpkg have added, removed and changed, edits the manifest so, and
solves with exactly the trial's versions; the generation is then built from the archive's .debs
like any other, and whoever has the lock gets it too. Files that no package brings are not part of
that: they are named, and the trial stays.

`keep_as_is` takes the layer itself, by the rules for what maintainer scripts write. The lock does
not give such an image, so the generation says that it was modified by hand.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dolmen.environment import generations, layers, placing, trials
from dolmen.environment.backend import Backend, Realised
from dolmen.environment.changes import Changes
from dolmen.environment.committing import ByHand, commit
from dolmen.environment.layers import FileChange, LayerChanges
from dolmen.environment.layout import Environment
from dolmen.environment.operations import Outcome, apply
from dolmen.environment.recorded import lock_of
from dolmen.environment.trials import Trial
from dolmen.model import Lock, LockedPackage, Sha256, Spec, parse_manifest
from dolmen.model.installed import Installed
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.support.clock import monotonic
from dolmen.support.errors import DeclarationError, PackageError, SolveError
from dolmen.support.events import Emit, ignore

_NOWHERE = Sha256("0" * 64)
_ARCHIVES = "var/cache/apt/archives"


@dataclass(frozen=True, slots=True)
class Kept:
    """How a trial ended. `left_out`: what the generation does not have; then the trial is there
    still. `as_is`: the generation is not what the lock gives."""

    trial: str
    outcome: Outcome
    changes: LayerChanges
    left_out: tuple[FileChange, ...]
    as_is: bool
    dropped: bool


def keep(
    environment: Environment,
    name: str | None,
    *,
    backend: Backend,
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Kept:
    """Make a generation of the packages that a trial has, from their .debs.

    Raises DeclarationError ("no-trial", "nothing-to-keep", "not-as-tried" …), PackageError
    ("half-installed"), BusyError ("trial-running") and whatever `install` may raise; then nothing
    has changed, and the trial is there still.
    """
    trial = trials.find(environment, name)
    with trials.held(environment, trial.name):
        found = _finished(trial)
        if not found.packages:
            raise DeclarationError(
                "no package was added, removed or changed"
                + (f", but {len(found.files)} files were" if found.files else ""),
                reason="nothing-to-keep",
                context=str(trial.directory),
                details=[f"{file.what} {file.path}" for file in found.files[:20]],
                hint=f"dolmen keep --as-is{_chosen(trial)}"
                if found.files
                else f"dolmen drop{_chosen(trial)}",
            )
        edit, pins = _answer(environment, trial, found, backend, emit)
        _hand_over_debs(trial, backend)
        outcome = apply(
            environment,
            edit,
            backend=backend,
            command=f"keep {trial.name}",
            keep=pins,
            same_dates=True,
            dry_run=dry_run,
            emit=emit,
        )
        missing: tuple[FileChange, ...] = ()
        live = generations.current(environment)
        if not dry_run and live is not None:
            missing = layers.left_out(trial, found.files, live.tree)
        gone = not dry_run and not missing
        if gone:
            trials.remove(environment, trial.name)
    return Kept(trial.name, outcome, found, missing, as_is=False, dropped=gone)


def keep_as_is(
    environment: Environment,
    name: str | None,
    *,
    backend: Backend,
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Kept:
    """Make a generation of a trial's image and layer as they are.

    Raises DeclarationError ("no-trial", "nothing-to-keep", "trial-outdated"), PackageError
    ("half-installed"), BusyError ("trial-running"), StoreError; then nothing has changed.
    """
    start = monotonic()
    trial = trials.find(environment, name)
    with trials.held(environment, trial.name), environment.held(emit):
        live = generations.current(environment)
        own = _finished(trial)
        found = layers.changes(trial, since=live.tree if live else None)
        if not own.packages and not own.files:
            raise DeclarationError(
                "nothing was changed in this trial",
                reason="nothing-to-keep",
                context=str(trial.directory),
                hint=f"dolmen drop{_chosen(trial)}",
            )
        if live is None or live.generation.number != trial.generation:
            raise DeclarationError(
                f"the trial began on generation {trial.generation}, which is not live any more",
                reason="trial-outdated",
                context=str(trial.directory),
                hint=f"dolmen switch {trial.generation} && dolmen keep --as-is{_chosen(trial)}",
            )
        moves = Changes(found.added, found.removed, found.changed)
        packages = layers.packages_of(trial)
        if dry_run:
            outcome = Outcome(
                environment, True, moves, live.generation, len(packages), monotonic() - start, True
            )
            return Kept(trial.name, outcome, found, (), as_is=True, dropped=False)
        place = generations.directory_of(environment, trial.generation)
        text = (place / MANIFEST_NAME).read_bytes().decode()
        lock, own_lock = trials.lock_of(trial), lock_of(environment, trial.generation)
        if lock is None or own_lock is None:
            raise DeclarationError(
                "the lock of the trial or of its generation is damaged",
                reason="bad-trial",
                context=str(trial.lock),
                hint=f"dolmen drop --name {trial.name}",
            )
        record = commit(
            environment,
            manifest_text=None,
            lock_text=None,
            texts=(text, (place / LOCK_NAME).read_bytes().decode()),
            lock=own_lock,
            image=_image(trial, backend, emit),
            backend=backend,
            command=f"keep --as-is {trial.name}",
            entrance=parse_manifest(text).entrance,
            groups=live.groups,
            by_hand=ByHand(len(packages), moves, _with_packages(lock, packages.values())),
        )
        trials.remove(environment, trial.name)
    outcome = Outcome(
        environment, True, moves, record.generation, len(packages), monotonic() - start
    )
    return Kept(trial.name, outcome, found, (), as_is=True, dropped=True)


def drop(environment: Environment, name: str | None) -> str:
    """Throw a trial away; its name. Raises DeclarationError, BusyError ("trial-running")."""
    if name is None:
        there = trials.names(environment)
        name = there[0] if len(there) == 1 else trials.find(environment, None).name
    with trials.held(environment, name), environment.held():
        trials.remove(environment, name)
    return name


def _finished(trial: Trial) -> LayerChanges:
    found = layers.changes(trial)
    if found.broken:
        raise PackageError(
            f"dpkg has not finished {len(found.broken)} packages of the trial",
            reason="half-installed",
            context=str(trial.directory),
            details=found.broken[:20],
            hint=f"dolmen try{_chosen(trial)} -- apt-get install -f",
        )
    return found


def _answer(
    environment: Environment,
    trial: Trial,
    found: LayerChanges,
    backend: Backend,
    emit: Emit,
) -> tuple[Callable[[str], str], Callable[[Lock], Sequence[LockedPackage]]]:
    """The edit of the manifest, and the versions to hold, that give the trial's packages."""
    after = layers.packages_of(trial)
    fixed = tuple(_pin(package) for package in after.values())
    native = _native(trial)
    wanted = {package.key: package for package in found.requested}
    text = environment.manifest_text()
    old, live = trials.lock_of(trial), generations.current(environment)
    problems: list[str] = []
    for refresh in (None, None, True):
        specs = [_spec(package, native) for package in wanted.values()]

        def edit(text: str, specs: Sequence[Spec] = tuple(specs)) -> str:
            return _edit(text, specs, found, native)

        try:
            # Told by the solve that counts, below; this one only learns what to ask for.
            lock = placing.solve(
                environment,
                parse_manifest(edit(text)),
                backend=backend,
                pins=fixed,
                refresh=refresh,
                ages=dict(old.snapshots) if old else {},
                emit=emit if refresh else ignore,
            ).selected(live.groups if live else ())
        except SolveError as error:
            if refresh:
                error.hint = f"{error.hint}; or: dolmen keep --as-is{_chosen(trial)}"
                raise
            continue
        there = {p.key: p.version for p in lock.packages}
        new = {(change.name, change.architecture): change for change in found.added}
        # What came along without a dependency (Recommends) is asked for by name from now on.
        wanted |= {key: after[key] for key in new if key not in there}
        moved = (*found.added, *found.changed)
        problems = [
            f"{c.name} {c.after}: "
            + (f"the archive has {there[key]}" if key in there else "nothing needs it")
            for c in moved
            if there.get(key := (c.name, c.architecture)) != c.after
        ]
        problems += [
            f"{c.name}: dolmen.toml still needs it"
            for c in found.removed
            if (c.name, c.architecture) in there
        ]
        if not problems:
            return edit, lambda _lock: fixed
    raise DeclarationError(
        f"{len(problems)} packages would not be as they were tried",
        reason="not-as-tried",
        context=str(trial.directory),
        details=problems[:20],
        hint=f"dolmen keep --as-is{_chosen(trial)}",
    )


def _edit(text: str, specs: Sequence[Spec], found: LayerChanges, native: str) -> str:
    """The manifest without what was removed, with what was asked for, and its versions moved."""
    from dolmen.model.editing import add_packages, remove_packages

    gone = {(change.name, change.architecture) for change in found.removed}
    manifest = parse_manifest(text)
    grouped = [spec for group in manifest.groups for spec in group.packages]
    names = [
        str(Spec(spec.name, spec.architecture))
        for spec in dict.fromkeys((*manifest.packages, *grouped))
        if {(spec.name, spec.architecture or native), (spec.name, "all")} & gone
    ]
    text = remove_packages(text, dict.fromkeys(names)) if names else text
    present = parse_manifest(text).packages
    known = {(spec.name, spec.architecture or native) for spec in present}
    fresh = [spec for spec in specs if (spec.name, spec.architecture or native) not in known]
    moved = {(change.name, change.architecture): change.after for change in found.changed}
    for spec in present:
        keys = ((spec.name, spec.architecture or native), (spec.name, "all"))
        version = next((moved[key] for key in keys if key in moved), None)
        if spec.version and version and version != spec.version:
            fresh.append(replace(spec, version=version))
    return add_packages(text, fresh) if fresh else text


def _spec(package: Installed, native: str) -> Spec:
    foreign = package.architecture not in (native, "all")
    return Spec(package.name, package.architecture if foreign else None)


def _pin(package: Installed) -> LockedPackage:
    """Name, architecture and version, which is all that a pin says."""
    return LockedPackage(
        package.name, package.version, package.architecture, _NOWHERE, 0, package.name, 0
    )


def _native(trial: Trial) -> str:
    lock = trials.lock_of(trial)
    if lock is None:
        raise DeclarationError(
            "the trial's lock is damaged",
            reason="bad-trial",
            context=str(trial.lock),
            hint=f"dolmen drop --name {trial.name}",
        )
    return lock.architecture


def _with_packages(lock: Lock, packages: Iterable[Installed]) -> Lock:
    """A lock that also names what was installed by hand, to find its commands."""
    known = {p.key for p in lock.packages}
    more = [replace(_pin(p), requested=not p.automatic) for p in packages if p.key not in known]
    return replace(lock, packages=(*lock.packages, *more))


def _image(trial: Trial, backend: Backend, emit: Emit) -> Realised:
    from dolmen.image import Image, commit_layer
    from dolmen.store import Store

    store = Store.open(backend.store_path)
    store.lease(emit=emit)
    image = commit_layer(
        store,
        Image(trial.image, trial.commit),
        trial.upper,
        drop=lambda path: layers.drop(trial, path),
        emit=emit,
    )
    return Realised(image.root, image.commit, store.trees / image.root)


def _hand_over_debs(trial: Trial, backend: Backend) -> None:
    """Give the store what apt has downloaded; fetching verifies it as it does anything else."""
    debs = backend.store_path / "debs"
    archives = trial.upper / _ARCHIVES
    if not debs.is_dir() or not archives.is_dir():
        return
    for entry in os.scandir(archives):
        if entry.name.endswith(".deb") and entry.is_file(follow_symlinks=False):
            with open(entry.path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            target = debs / f"{digest}.deb"
            if not target.exists():
                young = debs / f".{digest}.{os.getpid()}"
                shutil.copyfile(entry.path, young)
                young.rename(target)


def _chosen(trial: Trial) -> str:
    return "" if trial.name == trials.DEFAULT else f" --name {trial.name}"
