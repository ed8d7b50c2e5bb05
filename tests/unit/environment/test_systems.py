"""A directory that declares a system: edited and solved like any other, never entered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.environment import (
    Environment,
    initialise,
    install,
    lock,
    prepare,
    remove,
    sync,
    update,
)
from dolmen.environment.verifying import verify
from dolmen.model import parse_lock, parse_manifest, parse_spec, render_lock
from dolmen.support.errors import DeclarationError, SolveError
from tests.lib.backend import FakeBackend


@pytest.fixture
def system(tmp_path: Path, backend: FakeBackend) -> Environment:
    """The manifest that `init --system` writes, with an archive that has what it asks for."""
    directory = tmp_path / "machine"
    directory.mkdir()
    environment = initialise(directory, suite="bookworm", system=True)
    manifest = parse_manifest(environment.manifest_text())
    assert manifest.system is not None
    for spec in manifest.requests("amd64"):
        backend.universe.setdefault(spec.name, "1")
    return environment


def requested(environment: Environment) -> set[str]:
    return {p.name for p in parse_lock(environment.lock_text() or "").packages if p.requested}


def test_what_every_system_needs_is_asked_for_by_itself(
    system: Environment, backend: FakeBackend
) -> None:
    outcome = lock(system, backend=backend)
    assert outcome.system
    found = requested(system)
    assert {"linux-image-amd64", "systemd-sysv", "dracut", "ostree", "python3-gi"} <= found
    # their scripts would look for a disk
    assert not found & {"grub-pc", "grub-efi-amd64", "initramfs-tools"}


def test_packages_are_added_and_removed_without_a_generation(
    system: Environment, backend: FakeBackend
) -> None:
    outcome = install(system, [parse_spec("jq")], backend=backend, command="install jq")
    assert (outcome.changed, outcome.generation, outcome.system) == (True, None, True)
    assert "jq" in requested(system)
    assert "jq" in system.manifest_text()
    again = install(system, [parse_spec("jq")], backend=backend, command="install jq")
    assert not again.changed
    backend.universe["jq"] = "1.7-1"
    assert update(system, backend=backend, command="update").changed
    remove(system, ["jq"], backend=backend, command="remove jq")
    assert "jq" not in requested(system)
    assert "build" not in backend.calls
    assert not system.current.exists()


def test_a_failed_solve_and_a_dry_run_change_nothing(
    system: Environment, backend: FakeBackend
) -> None:
    lock(system, backend=backend)
    before = (system.manifest_text(), system.lock_text())
    dry = install(system, [parse_spec("jq")], backend=backend, command="install jq", dry_run=True)
    assert (dry.dry_run, dry.changed) == (True, False)
    assert [change.name for change in dry.changes.added] == ["jq"]
    with pytest.raises(SolveError):
        install(system, [parse_spec("nothing")], backend=backend, command="install nothing")
    assert (system.manifest_text(), system.lock_text()) == before


def test_numbers_of_accounts_survive_whatever_is_solved(
    system: Environment, backend: FakeBackend
) -> None:
    lock(system, backend=backend)
    numbers = {"users": (("sshd", 101),), "groups": (("_ssh", 107),)}
    found = replace(parse_lock(system.lock_text() or ""), **numbers)  # type: ignore[arg-type]
    system.lock.write_text(render_lock(found))
    changes: tuple[Callable[[], object], ...] = (
        lambda: install(system, [parse_spec("jq")], backend=backend, command="install jq"),
        lambda: lock(system, backend=backend),
        lambda: remove(system, ["jq"], backend=backend, command="remove jq"),
    )
    for change in changes:
        change()
        after = parse_lock(system.lock_text() or "")
        assert (after.users, after.groups) == (numbers["users"], numbers["groups"])


def test_it_is_not_entered(system: Environment, backend: FakeBackend) -> None:
    lock(system, backend=backend)
    for step in (
        lambda: sync(system, backend=backend, command="sync"),
        lambda: prepare(system, backend=backend, command="run x"),
        lambda: verify(system, backend=backend),
    ):
        with pytest.raises(DeclarationError) as caught:
            step()
        assert caught.value.reason == "is-a-system"
