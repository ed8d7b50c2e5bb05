"""Newer versions, and other suites."""

from __future__ import annotations

import pytest

from dolmen.environment import Environment, install, rollback, update, upgrade
from dolmen.model import parse_lock, parse_manifest, parse_spec
from dolmen.support.errors import DeclarationError, PackageError
from dolmen.support.events import Event, Notice
from tests.lib.backend import FakeBackend, snapshot


@pytest.fixture
def two(environment: Environment, backend: FakeBackend) -> Environment:
    """jq and curl of yesterday; today the archive has newer ones."""
    specs = [parse_spec("jq"), parse_spec("curl")]
    install(environment, specs, backend=backend, command="install")
    backend.universe |= {"jq": "2.0-1", "curl": "9.0-1"}
    return environment


def versions(environment: Environment) -> dict[str, str]:
    text = environment.lock_text()
    assert text is not None
    return {p.name: p.version for p in parse_lock(text).packages if p.requested}


def test_update_moves_everything(two: Environment, backend: FakeBackend) -> None:
    manifest = two.manifest_text()
    outcome = update(two, backend=backend, command="update")
    assert outcome.generation is not None
    assert outcome.generation.number == 2
    assert {c.name for c in outcome.changes.changed} == {"jq", "curl"}
    assert versions(two) == {"jq": "2.0-1", "curl": "9.0-1"}
    assert two.manifest_text() == manifest
    assert not update(two, backend=backend, command="update").changed


def test_update_of_one_leaves_the_others(two: Environment, backend: FakeBackend) -> None:
    outcome = update(two, ["jq"], backend=backend, command="update jq")
    assert [c.name for c in outcome.changes.changed] == ["jq"]
    assert versions(two) == {"jq": "2.0-1", "curl": "7.88.1-10"}


def test_update_says_what_the_manifest_holds(two: Environment, backend: FakeBackend) -> None:
    text = two.manifest_text().replace('"jq"', '"jq=1.6-2"')
    two.manifest.write_text(text)
    seen: list[Event] = []
    update(two, ["jq"], backend=backend, command="update jq", emit=seen.append)
    assert versions(two)["jq"] == "1.6-2"
    assert any(isinstance(e, Notice) and "1.6-2" in e.message for e in seen)


@pytest.mark.parametrize(("name", "reason"), [("vim", "not-in-lock"), ("jq=2.0-1", "bad-spec")])
def test_update_refuses(two: Environment, backend: FakeBackend, name: str, reason: str) -> None:
    before = snapshot(two)
    with pytest.raises(DeclarationError) as caught:
        update(two, [name], backend=backend, command="update")
    assert caught.value.reason == reason
    assert snapshot(two) == before


def test_a_plan_changes_nothing(two: Environment, backend: FakeBackend) -> None:
    before = snapshot(two)
    outcome = update(two, backend=backend, command="update", dry_run=True)
    assert outcome.dry_run
    assert {c.name for c in outcome.changes.changed} == {"jq", "curl"}
    assert outcome.changes.download == 2000
    outcome = upgrade(two, "trixie", backend=backend, command="upgrade", dry_run=True)
    assert outcome.changed
    assert snapshot(two) == before


def test_upgrade_and_back(two: Environment, backend: FakeBackend) -> None:
    two.manifest.write_text("# ours\n" + two.manifest_text())
    install(two, [], backend=backend, command="install")
    before = two.manifest_text()
    outcome = upgrade(two, "trixie", backend=backend, command="upgrade --suite trixie")
    assert outcome.changed
    assert parse_manifest(two.manifest_text()).suite == "trixie"
    assert two.manifest_text().startswith("# ours\n")
    assert versions(two) == {"jq": "2.0-1", "curl": "9.0-1"}
    rollback(two)
    assert two.manifest_text() == before
    assert versions(two) == {"jq": "1.6-2", "curl": "7.88.1-10"}


def test_a_failed_upgrade_leaves_everything(two: Environment, backend: FakeBackend) -> None:
    backend.failures["build"] = PackageError("no", reason="maintainer-script-failed")
    before = snapshot(two)
    with pytest.raises(PackageError):
        upgrade(two, "trixie", backend=backend, command="upgrade --suite trixie")
    assert snapshot(two) == before
