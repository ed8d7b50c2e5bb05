"""Trials as commits: what was written in one, kept in the store's history, and taken up again.

A trial's commit holds the whole tree, image and layer, as a container's commit does; before it in
the history stands a commit of the image alone. So `dolmen store` lists, compares, exports and
pushes trials like anything else, the difference of the two trees is the layer again, and whoever
has the commit and its history has all that is needed, without an archive.

It is the state of the file system: processes are not frozen, and nothing of them is kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from dolmen.environment import generations, layers, placing, trials, trying
from dolmen.environment.backend import Backend, Realised
from dolmen.environment.layout import Environment
from dolmen.environment.trials import Trial
from dolmen.image import Image
from dolmen.image.layer import commit_tree, realise_tree
from dolmen.model import Sha256, parse_lock, parse_manifest
from dolmen.model.digest import digest_text, parse_sha256
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.store import Store
from dolmen.support.errors import DeclarationError, DolmenError, StoreError
from dolmen.support.events import Emit, Notice, ignore
from dolmen.support.files import write_atomic

#: The keys of a commit's metadata: a record as JSON, two files, and the lock of the image below.
RECORD = "dolmen.trial"
MANIFEST, LOCK, BELOW = "dolmen.manifest", "dolmen.lock", "dolmen.lock-below"
FORMAT = 1
_REF = re.compile(r"[^A-Za-z0-9._-]+")
#: apt makes these again, and they are most of what it writes.
_LISTS = "/var/lib/apt/lists/"
_CACHES = frozenset({"/var/cache/apt/pkgcache.bin", "/var/cache/apt/srcpkgcache.bin"})
_LIST_DIRECTORIES = frozenset({"partial", "auxfiles"})
#: Read by name when a trial is kept, so these must be what they seem: nothing may lead elsewhere.
_DIRECTORIES = (
    *("etc", "etc/apt", "etc/apt/apt.conf.d", "etc/apt/sources.list.d", "usr", "usr/sbin"),
    *("var", "var/cache", "var/cache/apt", "var/cache/apt/archives"),
    *("var/lib", "var/lib/apt", "var/lib/apt/lists", "var/lib/dpkg", "var/lib/dpkg/info"),
)


@dataclass(frozen=True, slots=True)
class CommittedTrial:
    """A trial's commit; not `changed` where the branch had just that already."""

    trial: str
    branch: str
    checksum: str
    changed: bool


def branch_of(environment: Environment, name: str) -> str:
    """The branch that a trial is committed to when none is named."""
    project = _REF.sub("-", environment.directory.name).strip("-.") or "environment"
    return f"trial/{project}/{name}"


def commit_trial(
    environment: Environment,
    name: str | None,
    *,
    backend: Backend,
    branch: str | None = None,
    subject: str | None = None,
    body: str | None = None,
    timestamp: int | None = None,
    emit: Emit = ignore,
) -> CommittedTrial:
    """Commit a trial that is at rest; it stays as it is.

    Raises DeclarationError ("no-trial", …), BusyError ("trial-running"), StoreError
    ("ref-reserved", "store-full", …), PackageError ("unsafe-path").
    """
    from dolmen.store.history.repository import History
    from dolmen.store.history.stacking import stack

    trial = trials.find(environment, name)
    with trials.held(environment, trial.name):
        store = Store.open(backend.store_path)
        store.lease(emit=emit)
        history = History.open(store.path / "repo")
        branch = branch or branch_of(environment, trial.name)
        history.refuse_ours(branch)
        image = commit_tree(
            store,
            Image(trial.image, trial.commit),
            trial.upper,
            drop=lambda path: layers.drop(trial, path) or _is_cache(path),
            emit=emit,
        )
        done = stack(
            history,
            branch,
            trial.commit,
            image.commit,
            subject=subject or f"Trial {trial.name} of {environment.directory.name or '/'}",
            body=body,
            timestamp=timestamp,
            strings=_strings(environment, trial),
        )
    return CommittedTrial(trial.name, branch, done.checksum, done.changed)


def resume_trial(
    environment: Environment,
    revision: str,
    name: str | None = None,
    *,
    backend: Backend,
    emit: Emit = ignore,
) -> Trial:
    """Make a trial of a trial's commit in the store, over the very image that lay below it.

    Raises DeclarationError ("trial-taken", "no-generation", "bad-trial-name"), StoreError
    ("no-revision", "not-a-trial", "object-missing"), PackageError ("unsafe-path").
    """
    from dolmen.store.history.repository import History
    from dolmen.store.history.stacking import Stacked, read_stack

    name = name or trials.DEFAULT
    _refuse_taken(environment, name)
    store = Store.open(backend.store_path)
    store.lease(emit=emit)
    history = History.open(store.path / "repo")
    found: Stacked = read_stack(history, revision, RECORD)
    record = _record(found.strings.get(RECORD, ""), revision)
    base = found.base(record.image)
    below = found.strings.get(BELOW) or found.strings.get(LOCK, "")
    manifest_text = found.strings.get(MANIFEST, "")
    lock = parse_lock(below)
    parse_manifest(manifest_text)
    _refuse_links(store, found.tree)
    with environment.held(emit):
        _refuse_taken(environment, name)
        live = generations.current(environment)
        if live is None:
            raise DeclarationError(
                "nothing is live here that a trial could be kept in",
                reason="no-generation",
                context=str(environment.directory),
                hint="dolmen sync",
            )
        if live.generation.image != record.live:
            emit(
                Notice(
                    "the trial began on another image than the one that is live here; it goes on "
                    "with its own"
                )
            )
        image = realise_tree(store, base, digest_text(f"resumed\n{record.image}"), emit=emit)
        realised = Realised(image.root, image.commit, store.trees / image.root)
        backend.remember(environment.directory, realised, lock)
        trial = Trial(
            name=name,
            directory=trials.directory_of(environment, name),
            created=generations.timestamp(),
            generation=live.generation.number,
            image=image.root,
            commit=image.commit,
            tree=realised.tree,
            helpers=record.helpers,
        )

        def fill(upper: Path) -> None:
            store.write_layer(base, found.tree, upper)

        with trials.staged(environment) as directory:
            # Sources and keys are those of here: a stranger's manifest names no file of this host.
            place = generations.directory_of(environment, live.generation.number)
            manifest = parse_manifest((place / MANIFEST_NAME).read_bytes().decode())
            there = placing.placed(manifest, environment.directory, dict(lock.snapshots))
            trying.fill(directory, there, trial, backend, more=fill)
            write_atomic(directory / MANIFEST_NAME, manifest_text)
            write_atomic(directory / LOCK_NAME, below)
            store.sync(directory)
            trials.write(trial, directory)
            trials.publish(environment, directory, name)
    return trial


@dataclass(frozen=True, slots=True)
class Declared:
    """The manifest and the lock that a trial began with."""

    manifest: str
    lock: str


def declared_by(backend: Backend, revision: str) -> Declared:
    """What a trial's commit says of the environment that it began in.

    Raises StoreError ("no-revision", "not-a-trial").
    """
    from dolmen.store.history.repository import History
    from dolmen.store.history.stacking import read_stack

    store = Store.open(backend.store_path)
    found = read_stack(History.open(store.path / "repo"), revision, RECORD)
    return Declared(found.strings.get(MANIFEST, ""), found.strings.get(LOCK, ""))


@dataclass(frozen=True, slots=True)
class _Record:
    image: Sha256
    live: Sha256
    helpers: tuple[str, ...]


def _strings(environment: Environment, trial: Trial) -> dict[str, str]:
    try:
        live = generations.read(environment, trial.generation).generation.image
        place = generations.directory_of(environment, trial.generation)
        lock = (place / LOCK_NAME).read_bytes().decode()
    except (DolmenError, OSError):  # that generation is gone by now
        live, lock = trial.image, trial.lock.read_bytes().decode()
    below = trial.lock.read_bytes().decode()
    value = {
        "format": FORMAT,
        "image": trial.image,
        "live": live,
        "helpers": list(trial.helpers),
    }
    strings = {
        RECORD: json.dumps(value, sort_keys=True),
        MANIFEST: (trial.directory / MANIFEST_NAME).read_bytes().decode(),
        LOCK: lock,
    }
    return strings if below == lock else {**strings, BELOW: below}


def _record(text: str, revision: str) -> _Record:
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}")
        return _Record(
            parse_sha256(data["image"]),
            parse_sha256(data["live"]),
            tuple(map(str, data["helpers"])),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{revision} is no commit of a trial that this Dolmen can read: {error}",
            reason="not-a-trial",
            hint="dolmen store refs --list trial/",
        ) from None


def _refuse_taken(environment: Environment, name: str) -> None:
    trials.directory_of(environment, name)
    if name in trials.names(environment):
        raise DeclarationError(
            f"there is a trial {name} here already",
            reason="trial-taken",
            context=str(environment.directory),
            hint=f"dolmen drop --name {name}, or give the other a name: --name NAME",
        )


def _refuse_links(store: Store, tree: tuple[Sha256, Sha256]) -> None:
    for path in _DIRECTORIES:
        if store.kind_of(tree, path) not in ("d", ""):
            raise StoreError(
                f"in this commit /{path} is no directory",
                reason="not-a-trial",
                hint="dolmen store ls COMMIT /",
            )


def _is_cache(path: str) -> bool:
    if path.startswith(_LISTS):
        return path.removeprefix(_LISTS) not in _LIST_DIRECTORIES
    return path in _CACHES


def write_file(backend: Backend, branch: str, target: Path, *, emit: Emit = ignore) -> None:
    """Write a trial's branch, with all that lies below it, into one file for another machine.

    Raises StoreError ("no-revision", "store-full", …), OSError.
    """
    from dolmen.store.history.bundling import write_bundle
    from dolmen.store.history.repository import History

    store = Store.open(backend.store_path)
    store.lease(emit=emit)
    write_bundle(History.open(store.path / "repo"), [branch], target)


def read_file(
    backend: Backend, source: Path, branch: str | None = None, *, emit: Emit = ignore
) -> str:
    """Take such a file into the store; the branch, renamed to `branch` if that is given.

    Raises PackageError ("bad-bundle", …), StoreError ("not-fast-forward", "object-damaged", …).
    """
    from dolmen.store.history.bundling import read_bundle
    from dolmen.store.history.repository import History

    store = Store.open(backend.store_path)
    store.lease(emit=emit)
    found = read_bundle(History.open(store.path / "repo"), source, rename=branch)
    return next(iter(found.refs))
