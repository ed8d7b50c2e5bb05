"""Newer versions: within the manifest (`update`), and of the next suite (`upgrade`)."""

from __future__ import annotations

from collections.abc import Sequence

from dolmen.environment.backend import Backend
from dolmen.environment.layout import Environment
from dolmen.environment.operations import Outcome, apply, read_lock
from dolmen.model import Lock, LockedPackage, parse_manifest, parse_spec
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Emit, Notice, ignore


def update(
    environment: Environment,
    names: Sequence[str] = (),
    *,
    backend: Backend,
    command: str,
    refresh: bool | None = True,
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Outcome:
    """Take the newest versions that the manifest allows, of these packages (none: of all).

    Named ones (`name` or `name:arch`, requested or not) take along what they cannot do without;
    everything else keeps its version. `refresh` as for archive.solve. Raises DeclarationError
    ("not-in-lock", "no-lock") and whatever solving and building may raise.
    """
    wanted = [parse_spec(name) for name in names]
    for spec in wanted:
        if spec.version or spec.suite:
            raise DeclarationError(
                f"update takes names; {spec} would change dolmen.toml",
                reason="bad-spec",
                hint=f"dolmen install {spec}",
            )

    def is_wanted(package: LockedPackage) -> bool:
        return any(
            spec.name == package.name and spec.architecture in (None, package.architecture)
            for spec in wanted
        )

    def keep(lock: Lock) -> Sequence[LockedPackage]:
        return [p for p in lock.packages if not is_wanted(p)] if wanted else ()

    if wanted:
        _check_known(environment, [str(spec) for spec in wanted])
    for spec in parse_manifest(environment.manifest_text()).packages:
        if spec.version and any(one.name == spec.name for one in wanted):
            emit(Notice(f"dolmen.toml holds {spec.name} at {spec.version}", level="warning"))
            emit(Notice(f"to let it move: dolmen install {spec.name}", level="hint"))
    return apply(
        environment,
        lambda text: text,
        backend=backend,
        command=command,
        refresh=refresh,
        keep=keep,
        dry_run=dry_run,
        emit=emit,
    )


def upgrade(
    environment: Environment,
    suite: str,
    *,
    backend: Backend,
    command: str,
    refresh: bool | None = None,
    dry_run: bool = False,
    emit: Emit = ignore,
) -> Outcome:
    """Move the environment to another suite: the manifest is edited, and everything solved anew.

    Nothing is upgraded in place: the new image is built from the new suite's packages, and
    `rollback` is one step back to the old one. Raises as `update` does.
    """
    from dolmen.model.editing import change_suite

    return apply(
        environment,
        lambda text: change_suite(text, suite),
        backend=backend,
        command=command,
        refresh=refresh,
        keep=lambda lock: lock.packages,
        dry_run=dry_run,
        emit=emit,
    )


def _check_known(environment: Environment, names: Sequence[str]) -> None:
    lock = read_lock(environment)
    for name in names:
        spec = parse_spec(name)
        if lock.find(spec.name, spec.architecture) is None:
            raise DeclarationError(
                f"{name} is not in this environment",
                reason="not-in-lock",
                context=str(environment.lock),
                hint=f"dolmen install {name}",
            )
