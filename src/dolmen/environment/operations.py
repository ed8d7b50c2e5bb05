"""What a user can do to an environment: each function takes one step from one whole state to
another, or leaves everything as it was.

The order of every change: solve, build, stage the generation, and only then the manifest, the lock,
the generation's number and the link `current`, which moves last. A failure before that leaves no
trace; one in between takes the files back; a kill in between leaves the generation before whole and
live, and the same command typed again finishes the work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dolmen.environment import generations, persisting, placing, systems
from dolmen.environment.backend import Backend
from dolmen.environment.changes import Changes, compare
from dolmen.environment.committing import commit, is_same, live_lock
from dolmen.environment.generations import Record
from dolmen.environment.layout import Environment, read_text
from dolmen.environment.selecting import Selection, chosen
from dolmen.environment.settling import is_whole, replace_text, taken_back
from dolmen.environment.starting import made
from dolmen.model import (
    Generation,
    Lock,
    LockedPackage,
    Manifest,
    Spec,
    parse_lock,
    parse_manifest,
    render_lock,
)
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.model.manifest import FILE_NAME as MANIFEST_NAME
from dolmen.model.manifest import Deb
from dolmen.support.clock import monotonic
from dolmen.support.errors import DeclarationError, StaleError
from dolmen.support.events import Emit, Notice, ignore


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended: whether anything moved, and what.

    `generation` is the live one afterwards (None where nothing was ever built), `packages` the size
    of the closure, `seconds` the time it all took. `system`: a whole one is declared here, so
    nothing was built.
    """

    environment: Environment
    changed: bool
    changes: Changes
    generation: Generation | None
    packages: int
    seconds: float
    dry_run: bool = False
    system: bool = False


def install(
    environment: Environment,
    specs: Sequence[Spec],
    *,
    backend: Backend,
    command: str,
    create: str | None = None,
    refresh: bool | None = None,
    debs: Sequence[Deb] = (),
    group: str | None = None,
    groups: Selection | None = None,
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Outcome:
    """Add packages (none: just answer the manifest), solve, build, make a new generation.

    Versions that the lock holds are kept where they can be. `create` is the suite of the manifest
    to start from where there is none; the directory is made too, and gone again after a failure.
    `debs` are files beside the manifest (`placing.local_debs`). With `group` what is added goes to
    that group; `groups` changes which ones the environment has.
    """

    def edit(text: str) -> str:
        manifest = parse_manifest(text)
        there = manifest.group(group) if group else None
        packages = (there.packages if there else ()) if group else manifest.packages
        from dolmen.model.editing import add_debs, add_packages

        if not all(spec in [one.plain() for one in packages] for spec in specs):
            text = add_packages(text, specs, group=group)
        if not all(deb in manifest.debs for deb in debs):
            text = add_debs(text, debs)
        return text

    with made(environment) if create else contextlib.nullcontext():
        return apply(
            environment,
            edit,
            backend=backend,
            command=command,
            create=create,
            refresh=refresh,
            groups=_with_group(groups, group),
            dry_run=dry_run,
            emit=emit,
        )


def remove(
    environment: Environment,
    names: Sequence[str],
    *,
    backend: Backend,
    command: str,
    debs: Sequence[str] = (),
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Outcome:
    """Take packages out of the manifest, and what only they needed out of the environment.

    `debs` are paths of .debs as the manifest has them.
    """

    def edit(text: str) -> str:
        from dolmen.model.editing import remove_debs, remove_packages

        left = [name for name in names if not _is_out_already(environment, text, name)]
        return remove_debs(remove_packages(text, left), debs)

    return apply(environment, edit, backend=backend, command=command, dry_run=dry_run, emit=emit)


def _is_out_already(environment: Environment, text: str, name: str) -> bool:
    """Whether a killed command took a package from the manifest, but not out of what is live."""
    from dolmen.model.editing import remove_packages

    number = generations.current_number(environment)
    live = None
    if number is not None:
        live = read_text(generations.directory_of(environment, number) / MANIFEST_NAME)
    if live is None or live == text:
        return False
    try:
        remove_packages(text, [name])
    except DeclarationError:
        with contextlib.suppress(DeclarationError):
            remove_packages(live, [name])
            return True
    return False


def lock(
    environment: Environment,
    *,
    backend: Backend,
    refresh: bool | None = None,
    emit: Emit = ignore,
) -> Outcome:
    """Solve again, without keeping versions, and write the lock; nothing is built."""
    start = monotonic()
    environment.manifest_text()
    with environment.held(emit):
        manifest = parse_manifest(environment.manifest_text())
        before = _old_lock(environment, emit)
        after = placing.solve(environment, manifest, backend=backend, refresh=refresh, emit=emit)
        after = systems.with_numbers(after, before)
        text = render_lock(after)
        changed = text != environment.lock_text()
        if changed:
            replace_text(environment.lock, text)
        live = generations.current(environment)
    return Outcome(
        environment=environment,
        changed=changed,
        changes=compare(before, after),
        generation=live.generation if live else None,
        packages=len(after.packages),
        seconds=monotonic() - start,
        system=manifest.system is not None,
    )


def check(environment: Environment) -> Lock:
    """The lock, if it answers the manifest; raises StaleError and DeclarationError."""
    manifest = parse_manifest(environment.manifest_text())
    found = read_lock(environment)
    if found.inputs != manifest.inputs():
        raise _stale(environment, manifest, found)
    return found


def sync(
    environment: Environment,
    *,
    backend: Backend,
    command: str,
    mode: str = "warn",
    anew: bool = False,
    name: str | None = None,
    groups: Selection | None = None,
    emit: Emit = ignore,
) -> Outcome:
    """Make what the lock says; never solve.

    `mode` says what to do about a lock that no longer answers the manifest: "warn", "locked"
    (raise StaleError) or "frozen" (do not even look at the manifest). `anew` makes a generation
    even where the live one seems to be right. `name` shows in prompts (None: the directory's).
    `groups` changes which groups of packages the environment has.
    """
    selection = groups or Selection()
    start = monotonic()
    if mode != "frozen":
        environment.manifest_text()
    if environment.lock_text() is None:
        raise _no_lock(environment)
    with environment.held(emit):
        before = generations.current(environment)
        live = None if anew else before
        manifest_text = environment.manifest_text() if mode != "frozen" else _any_text(environment)
        lock_text = environment.lock_text()
        fresh = live is not None and is_fresh(environment, live, manifest_text, lock_text)
        if live and fresh and groups is None:
            _tell_modified(live, emit)
            return _unchanged(environment, live, start)
        manifest = (
            _any_manifest(manifest_text) if mode == "frozen" else parse_manifest(manifest_text)
        )
        systems.refuse(environment, manifest)
        found = read_lock(environment)
        if mode != "frozen" and found.inputs != manifest.inputs():
            error = _stale(environment, manifest, found)
            if mode == "locked":
                raise error
            emit(Notice(f"{error.message}: dolmen install", level="warning"))
        assert lock_text is not None
        old = live_lock(environment) if live else None
        with_groups = chosen(before, manifest, selection, found)
        found = found.selected(with_groups)
        if live and is_same(environment, live, found.digest(), manifest.entrance, with_groups):
            persisting.seed(environment, live.tree, manifest.entrance.persist)
            generations.refresh_copies(
                environment, live.generation.number, manifest_text, lock_text
            )
            return _unchanged(environment, live, start)
        image = placing.build(environment, found, backend=backend, emit=emit)
        record = commit(
            environment,
            manifest_text=None,
            lock_text=None,
            texts=(manifest_text, lock_text),
            lock=found,
            image=image,
            backend=backend,
            command=command,
            name=name,
            entrance=manifest.entrance,
            groups=with_groups,
        )
        return _outcome(environment, record, compare(old, found), start)


def is_fresh(
    environment: Environment, live: Record, manifest_text: str, lock_text: str | None
) -> bool:
    """Whether the live generation is whole and was made from exactly these texts."""
    directory = generations.directory_of(environment, live.generation.number)
    try:
        return (
            lock_text is not None
            and (directory / LOCK_NAME).read_bytes() == lock_text.encode()
            and (directory / MANIFEST_NAME).read_bytes() == manifest_text.encode()
            and is_whole(environment, live)
        )
    except (OSError, UnicodeDecodeError):
        return False


def _tell_modified(live: Record, emit: Emit) -> None:
    if live.generation.modified:
        number = live.generation.number
        emit(Notice(f"generation {number} was modified by hand (keep --as-is)", level="warning"))
        emit(Notice("what the lock gives: dolmen rollback", level="hint"))


def apply(
    environment: Environment,
    edit: Callable[[str], str],
    *,
    backend: Backend,
    command: str,
    create: str | None = None,
    refresh: bool | None = None,
    keep: Callable[[Lock], Sequence[LockedPackage]] | None = None,
    same_dates: bool = False,
    groups: Selection | None = None,
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Outcome:
    """Edit the manifest, then make everything answer it.

    `keep` names the versions of the lock to hold on to (None: all of them, and no solving where the
    lock answers already); with `same_dates` snapshots stay at theirs too.
    """
    start = monotonic()
    _manifest_text(environment, create)
    with environment.held(emit):
        before_text = _manifest_text(environment, create)
        after_text = edit(before_text)
        lock_text = environment.lock_text()
        live = generations.current(environment)
        settled = keep is None and not refresh
        if (
            live
            and settled
            and groups is None
            and is_fresh(environment, live, after_text, lock_text)
        ):
            manifest = parse_manifest(after_text)
            if live.inputs == manifest.inputs():
                _tell_modified(live, emit)
                return _unchanged(environment, live, start)
        manifest = parse_manifest(after_text)
        with_groups = chosen(live, manifest, groups or Selection())
        old = _old_lock(environment, emit)
        if old is not None and old.inputs == manifest.inputs() and settled:
            new, new_text = old, lock_text
        else:
            same = old is not None and old.suite == manifest.suite
            pins = (keep(old) if keep else old.packages) if same and old is not None else ()
            ages = dict(old.snapshots) if old is not None and (settled or same_dates) else {}
            new = placing.solve(
                environment,
                manifest,
                backend=backend,
                pins=pins,
                refresh=refresh,
                ages=ages,
                emit=emit,
            )
            new = systems.with_numbers(new, old)
            new_text = render_lock(new)
        assert new_text is not None
        if manifest.system is not None:
            return Outcome(
                environment=environment,
                changed=not dry_run and systems.write(environment, after_text, new),
                changes=compare(old, new),
                generation=None,
                packages=len(new.packages),
                seconds=monotonic() - start,
                dry_run=dry_run,
                system=True,
            )
        new = new.selected(with_groups)
        changes = compare(live_lock(environment) if live else None, new)
        if dry_run:
            return Outcome(
                environment=environment,
                changed=bool(changes),
                changes=changes,
                generation=live.generation if live else None,
                packages=len(new.packages),
                seconds=monotonic() - start,
                dry_run=True,
            )
        image = placing.build(environment, new, backend=backend, emit=emit)
        # The build may have taken minutes in which the user went on editing: keep that edit too.
        meanwhile = _manifest_text(environment, create)
        if meanwhile != before_text:
            after_text = edit(meanwhile)
            manifest = parse_manifest(after_text)
            emit(Notice(f"{MANIFEST_NAME} was edited meanwhile: dolmen install", level="warning"))
        if live and is_same(environment, live, new.digest(), manifest.entrance, with_groups):
            persisting.seed(environment, live.tree, manifest.entrance.persist)
            with taken_back(environment):
                replace_text(environment.manifest, after_text)
                replace_text(environment.lock, new_text)
                generations.refresh_copies(
                    environment, live.generation.number, after_text, new_text
                )
            return _unchanged(environment, live, start)
        record = commit(
            environment,
            manifest_text=after_text,
            lock_text=new_text,
            texts=(after_text, new_text),
            lock=new,
            image=image,
            backend=backend,
            command=command,
            entrance=manifest.entrance,
            groups=with_groups,
        )
        return _outcome(environment, record, changes, start)


def _manifest_text(environment: Environment, create: str | None) -> str:
    if create is None or environment.manifest.exists():
        return environment.manifest_text()
    from dolmen.model.editing import new_manifest

    return new_manifest(create)


def read_lock(environment: Environment) -> Lock:
    """The lock as it is on disk; raises DeclarationError ("no-lock", "bad-lock", "lock-format")."""
    text = environment.lock_text()
    if text is None:
        raise _no_lock(environment)
    return parse_lock(text)


def _no_lock(environment: Environment) -> DeclarationError:
    return DeclarationError(
        f"there is no {LOCK_NAME} here",
        reason="no-lock",
        context=str(environment.directory),
        hint="dolmen lock",
    )


def _old_lock(environment: Environment, emit: Emit) -> Lock | None:
    """The lock as a source of versions to keep: one that cannot be read is only a pity."""
    text = environment.lock_text()
    if text is None:
        return None
    try:
        return parse_lock(text)
    except DeclarationError as error:
        if error.reason == "lock-format":
            raise
        emit(Notice(f"{error.message}; solving anew", level="warning"))
        return None


def _any_text(environment: Environment) -> str:
    """The manifest's text, or nothing: "frozen" does not need it."""
    try:
        return environment.manifest_text()
    except DeclarationError:
        return ""


def _with_group(groups: Selection | None, group: str | None) -> Selection | None:
    """What is added to a group is wanted, so the group is too."""
    if group is None:
        return groups
    groups = groups or Selection()
    return Selection((*groups.add, group), groups.drop)


def _any_manifest(text: str) -> Manifest:
    """What can be told of a manifest that nobody insists on: how to enter."""
    try:
        return parse_manifest(text)
    except DeclarationError:
        return Manifest("")


def _stale(environment: Environment, manifest: Manifest, found: Lock) -> StaleError:
    """Says what the manifest has that the lock does not answer."""
    asked = {spec.name for spec in manifest.requests(found.architecture)}
    answered = {p.name for p in found.packages if p.requested}
    details = [f"+ {name}" for name in sorted(asked - answered)]
    details += [f"- {name}" for name in sorted(answered - asked)]
    if manifest.suite != found.suite:
        details.append(f"suite {found.suite} → {manifest.suite}")
    return StaleError(
        f"{LOCK_NAME} does not answer {MANIFEST_NAME}",
        context=str(environment.directory),
        details=details,
        hint="dolmen install",
    )


def _unchanged(environment: Environment, live: Record, start: float) -> Outcome:
    return Outcome(
        environment=environment,
        changed=False,
        changes=Changes(),
        generation=live.generation,
        packages=live.generation.packages,
        seconds=monotonic() - start,
    )


def _outcome(environment: Environment, record: Record, changes: Changes, start: float) -> Outcome:
    return Outcome(
        environment=environment,
        changed=True,
        changes=changes,
        generation=record.generation,
        packages=record.generation.packages,
        seconds=monotonic() - start,
    )
