"""Which launcher is entered, and what is made before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dolmen.environment import Environment, install, prepare
from dolmen.model import parse_spec
from dolmen.support.errors import DeclarationError, StaleError
from dolmen.support.events import Event, Notice
from tests.lib.backend import FakeBackend


@pytest.fixture
def ready(environment: Environment, backend: FakeBackend) -> Environment:
    install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    backend.calls = []
    return environment


def enter(environment: Environment, backend: FakeBackend, mode: str = "warn") -> str:
    launcher = prepare(environment, backend=backend, command="sync", mode=mode)
    return launcher.parent.name


def edit(environment: Environment) -> None:
    environment.manifest.write_text(environment.manifest_text().replace('"jq"', '"curl"'))


def test_up_to_date(ready: Environment, backend: FakeBackend) -> None:
    assert enter(ready, backend) == "1"
    assert enter(ready, backend, "locked") == "1"
    assert backend.calls == []


def test_an_edited_manifest_warns(ready: Environment, backend: FakeBackend) -> None:
    edit(ready)
    events: list[Event] = []
    launcher = prepare(ready, backend=backend, command="sync", emit=events.append)
    assert launcher.parent.name == "1"
    assert [e.level for e in events if isinstance(e, Notice)] == ["warning", "hint"]
    assert backend.calls == []
    with pytest.raises(StaleError):
        enter(ready, backend, "locked")
    assert enter(ready, backend, "frozen") == "1"


def test_a_pulled_lock_is_made(ready: Environment, backend: FakeBackend, tmp_path: Path) -> None:
    other = Environment(tmp_path / "other")
    install(other, [parse_spec("curl")], backend=backend, command="i", create="bookworm")
    for name in ("dolmen.toml", "dolmen.lock"):
        shutil.copy(other.directory / name, ready.directory / name)
    backend.calls = []
    assert enter(ready, backend, "frozen") == "1"
    assert enter(ready, backend) == "2"
    assert "solve" not in backend.calls


def test_nothing_was_ever_made(environment: Environment, backend: FakeBackend) -> None:
    with pytest.raises(DeclarationError) as caught:
        enter(environment, backend)
    assert caught.value.reason == "no-lock"
    assert caught.value.hint == "dolmen install"


def test_a_fresh_clone(ready: Environment, backend: FakeBackend) -> None:
    shutil.rmtree(ready.state)
    assert enter(ready, backend) == "1"
    assert "solve" not in backend.calls


def test_a_stale_clone(ready: Environment, backend: FakeBackend) -> None:
    shutil.rmtree(ready.state)
    edit(ready)
    with pytest.raises(StaleError):
        enter(ready, backend)


def test_a_launcher_that_came_with_a_copy_is_not_run(
    ready: Environment, backend: FakeBackend, tmp_path: Path
) -> None:
    """What is in `.dolmen` runs outside of any sandbox; a clone may bring anything."""
    copy = Environment(tmp_path / "copy")
    shutil.copytree(ready.directory, copy.directory, symlinks=True)
    evil = copy.generations / "1/launch"
    evil.write_text("#!/bin/sh\necho evil\n")
    number = enter(copy, backend)
    assert number == "2"
    assert "evil" not in (copy.generations / number / "launch").read_text()
    assert enter(copy, backend) == "2"
    shutil.copytree(ready.directory, tmp_path / "frozen", symlinks=True)
    assert enter(Environment(tmp_path / "frozen"), backend, "frozen") == "2"


def test_a_moved_directory_goes_on(
    ready: Environment, backend: FakeBackend, tmp_path: Path
) -> None:
    ready.directory.rename(tmp_path / "moved")
    assert enter(Environment(tmp_path / "moved"), backend) == "2"
    assert "solve" not in backend.calls
