"""The store and every environment that it knows: what is wrong, and who suffers from it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dolmen.environment import generations, trials
from dolmen.environment.layout import Environment, read_text
from dolmen.environment.needs import needs_of
from dolmen.model import Lock, parse_lock, parse_manifest
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.store import Store
from dolmen.store.fsck import Checked, Fault, check_store
from dolmen.store.roots import Needs
from dolmen.support.errors import DolmenError, StoreError
from dolmen.support.events import Emit, ignore

_MAX_DETAILS = 40
#: The words of a check for people.
_WORDS = {
    "content": "damaged content",
    "extra": "does not belong there",
    "kind": "is another kind of file",
    "mode": "its permissions were changed",
    "owner": "belongs to another user",
    "target": "links to something else",
    "time": "was touched",
    "xattr": "has attributes that it should not have",
}


@dataclass(slots=True)
class Report:
    """What a check found; `locks` are those at hand, with the directory that each was found in."""

    faults: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    #: Directories that are registered and cannot be seen just now.
    missing: list[Path] = field(default_factory=list)
    locks: list[tuple[Lock, Path]] = field(default_factory=list)
    #: image -> (its commit, its generations, whether it was modified by hand)
    images: dict[str, Known] = field(default_factory=dict)
    #: Generations and trials with what they need.
    _needs: list[tuple[str, Needs]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.faults


@dataclass(slots=True)
class Known:
    """What environments know of an image; `lock` None: it cannot be built from a lock."""

    commit: str
    lock: Lock | None
    directory: Path
    modified: bool = False


def check(store: Store, *, quick: bool = False, emit: Emit = ignore) -> Report:
    """Check the store and all its environments; nothing is changed, and nothing stops it.

    `quick`: contents are read only where a time stamp says that somebody wrote there.
    """
    found: Checked = check_store(store.path, quick=quick, emit=emit)
    report = Report(counts=found.counts, leftovers=found.leftovers)
    faults = found.faults
    for directory in _directories(store):
        environment = Environment(directory)
        if not environment.generations.is_dir():
            report.missing.append(directory)
            continue
        faults += _environment(environment, store, report)
    report.faults = [_with_sufferers(fault, report) for fault in faults]
    return report


def damaged(report: Report) -> StoreError:
    """The error that a report with faults is."""
    details = [line(fault) for fault in report.faults[:_MAX_DETAILS]]
    if len(report.faults) > _MAX_DETAILS:
        details.append(f"and {len(report.faults) - _MAX_DETAILS} more")
    number = len(report.faults)
    return StoreError(
        f"{number} thing{'s are' if number != 1 else ' is'} not as they should be",
        reason="store-damaged",
        details=details,
        hint="dolmen repair --dry-run",
    )


def line(fault: Fault) -> str:
    """A fault as one line for people."""
    text = f"{fault.part} {fault.name}: {_WORDS.get(fault.what, fault.what)}"
    if fault.path:
        text += f" ({fault.path})"
    if fault.sufferers:
        shown = ", ".join(fault.sufferers[:4])
        more = f" and {len(fault.sufferers) - 4} more" if len(fault.sufferers) > 4 else ""
        text += f"; needed by {shown}{more}"
    elif fault.part == "object":
        text += f"; of {', '.join(fault.refs[:3])}" if fault.refs else "; nobody needs it"
    return text


def _directories(store: Store) -> tuple[Path, ...]:
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(store.path / "roots"):
            with contextlib.suppress(OSError):
                if not name.startswith("."):
                    found.append(Path(os.readlink(store.path / "roots" / name)))
    return tuple(sorted(found))


def _environment(environment: Environment, store: Store, report: Report) -> Iterator[Fault]:
    report.counts["environments"] = report.counts.get("environments", 0) + 1
    where = str(environment.directory)
    for path in (environment.manifest, environment.lock):
        parse = parse_manifest if path == environment.manifest else parse_lock
        try:
            text = read_text(path)
            parsed = None if text is None else parse(text)
            if isinstance(parsed, Lock):
                report.locks.append((parsed, environment.directory))
        except DolmenError as error:
            yield Fault("environment", error.message, where, str(path))
    try:
        unborn = generations.unborn(environment)
        numbers = tuple(n for n in generations.numbers(environment) if n not in unborn)
        report.leftovers += [str(generations.directory_of(environment, n)) for n in unborn]
        report.leftovers += [
            str(environment.generations / name)
            for name in sorted(os.listdir(environment.generations))
            if name.startswith(".new.")
        ]
    except OSError as error:
        yield Fault("environment", f"unreadable: {error.strerror}", where)
        return
    live = generations.current_number(environment)
    if numbers and live not in numbers:
        what = "names no generation" if live is None else f"dangling: no generation {live}"
        yield Fault("environment", what, where, str(environment.current))
    for number in numbers:
        report.counts["generations"] = report.counts.get("generations", 0) + 1
        yield from _generation(environment, number, store, report)
    for name in trials.names(environment):
        yield from _trial(environment, name, report)


def _generation(
    environment: Environment, number: int, store: Store, report: Report
) -> Iterator[Fault]:
    name = _name(environment, number)
    directory = generations.directory_of(environment, number)
    try:
        record = generations.read(environment, number)
    except (DolmenError, OSError) as error:
        yield Fault("generation", f"bad record: {error}", name, str(directory), sufferers=(name,))
        return
    made = record.generation
    lock = None
    for file in (MANIFEST_NAME, LOCK_NAME):
        path = directory / file
        try:
            text = read_text(path)
            if text is None:
                raise StoreError(f"no {file}")
            if file == MANIFEST_NAME:
                parse_manifest(text)
                continue
            lock = parse_lock(text)
            report.locks.append((lock, environment.directory))
            lock = lock.selected(record.groups)
            if lock.digest() != made.lock_digest:
                yield Fault("generation", "its lock is another one", name, str(path))
                lock = None
        except (DolmenError, OSError) as error:
            what = error.message if isinstance(error, DolmenError) else str(error)
            yield Fault("generation", what, name, str(path), sufferers=(name,))
    report._needs.append((name, needs_of(made.image, lock)))
    report.images.setdefault(
        made.image,
        Known(record.commit, None if made.modified else lock, environment.directory, made.modified),
    )
    ref = f"image/{made.image}"
    if store.resolve(ref) is None:
        yield Fault("ref", "missing", ref, refs=(ref,))
    if not (store.trees / made.image).is_dir():
        yield Fault("tree", "missing", made.image, "/", refs=(ref,))
    link = directory / generations.TREE
    if not link.is_symlink() or os.readlink(link) != str(record.tree):
        yield Fault("generation", "its link leads to another tree", name, str(link))
    elif os.path.realpath(record.tree) != os.path.realpath(store.trees / made.image):
        yield Fault("generation", "its image lies in another store", name, str(record.tree))
    if not (directory / generations.LAUNCH).is_file():
        path = directory / generations.LAUNCH
        yield Fault("generation", "missing launcher", name, str(path), sufferers=(name,))


def _trial(environment: Environment, name: str, report: Report) -> Iterator[Fault]:
    shown = f"{environment.directory} trial {name}"
    try:
        trial = trials.read(environment, name)
    except (DolmenError, OSError) as error:
        yield Fault("environment", f"trial {name}: {error}", str(environment.directory))
        return
    lock = trials.lock_of(trial)
    report._needs.append((shown, needs_of(trial.image, lock)))
    report.images.setdefault(trial.image, Known(trial.commit, lock, environment.directory))


def _name(environment: Environment, number: int) -> str:
    return f"{environment.directory} generation {number}"


def _with_sufferers(fault: Fault, report: Report) -> Fault:
    if fault.sufferers or not (fault.refs or fault.part == "pointer"):
        return fault
    # What an image holds hurts who enters it; what a package holds hurts who builds with it.
    images = {ref.removeprefix("image/") for ref in fault.refs if ref.startswith("image/")}
    others = {ref for ref in fault.refs if not ref.startswith("image/")}
    found = [
        name
        for name, needs in report._needs
        if images & needs.images
        or others & needs.refs
        or (fault.part == "pointer" and fault.name in needs.keys)
    ]
    return replace(fault, sufferers=tuple(dict.fromkeys(found)))
