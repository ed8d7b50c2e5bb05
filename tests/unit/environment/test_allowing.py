from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from dolmen.environment import Environment, allow, allowing, deny, install, rollback, sync
from dolmen.environment.allowing import record_of, records
from dolmen.model import parse_spec
from dolmen.support.errors import DeclarationError, HostError
from tests.lib.backend import FakeBackend


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return path


def add(environment: Environment, backend: FakeBackend, *names: str) -> None:
    install(environment, [parse_spec(n) for n in names], backend=backend, command="install")


def test_a_record_is_what_sha256sum_checks(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    allowed = allow(environment, known=True)
    assert allowed.built
    assert list(allowed.sums) == [*allowing.DECLARED, *allowing.BUILT]
    argv = ["sha256sum", "--check", "--strict", "--quiet", str(allowed.record)]
    subprocess.run(argv, cwd=environment.directory, check=True, timeout=20)


def test_records_are_private_whatever_the_umask(environment: Environment, home: Path) -> None:
    before = os.umask(0)
    try:
        allowed = allow(environment, known=False)
    finally:
        os.umask(before)
    assert not allowed.built
    assert stat.S_IMODE(allowed.record.stat().st_mode) == 0o600
    for parent in allowed.record.relative_to(home).parents:
        if parent != Path():
            assert stat.S_IMODE((home / parent).stat().st_mode) == 0o700


def test_places() -> None:
    assert records({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/dolmen/allowed")
    assert records({"XDG_STATE_HOME": "s", "HOME": "/h"}) == Path("/h/.local/state/dolmen/allowed")
    one = record_of(Path("/a/b"), {"HOME": "/h"})
    assert one == Path("/h/.local/state/dolmen/allowed/=a/=b/sums")
    assert record_of(Path("/"), {"HOME": "/h"}).parent.name == "="
    for environ in ({}, {"HOME": ""}, {"HOME": "relative"}):
        with pytest.raises(HostError) as caught:
            records(environ)
        assert caught.value.reason == "no-home"


def test_deny(environment: Environment, home: Path) -> None:
    assert not deny(environment.directory)
    allow(environment, known=False)
    assert deny(environment.directory)
    assert not deny(environment.directory)
    assert not [path for path in home.rglob("*") if path.name.startswith("=")]


def test_deny_leaves_the_others(environment: Environment) -> None:
    below = environment.directory / "below"
    below.mkdir()
    (below / "dolmen.toml").write_text(environment.manifest_text())
    inner = allow(Environment(below), known=False)
    outer = allow(environment, known=False)
    deny(environment.directory)
    assert inner.record.exists()
    assert not outer.record.exists()


def test_what_the_user_does_is_carried_on(environment: Environment, backend: FakeBackend) -> None:
    add(environment, backend, "jq")
    assert not record_of(environment.directory).exists()  # never without `allow`
    first = allow(environment, known=True).record.read_text()
    add(environment, backend, "curl")
    second = record_of(environment.directory).read_text()
    assert first != second
    rollback(environment)
    assert record_of(environment.directory).read_text() == first
    environment.manifest.write_text(environment.manifest_text() + "# a comment\n")
    sync(environment, backend=backend, command="sync")
    third = record_of(environment.directory).read_text()
    assert third == allow(environment, known=True).record.read_text() != first


def test_a_clone_that_was_allowed_and_then_built(
    environment: Environment, backend: FakeBackend
) -> None:
    assert not allow(environment, known=False).built
    add(environment, backend, "jq")
    assert allowing.BUILT[0] in record_of(environment.directory).read_text()


def test_launchers_of_somebody_else_are_not_carried(
    environment: Environment, backend: FakeBackend
) -> None:
    add(environment, backend, "jq")
    add(environment, backend, "curl")
    allow(environment, known=False)  # the store does not know this directory
    rollback(environment)
    assert allowing.BUILT[0] not in record_of(environment.directory).read_text()


def test_refused(environment: Environment, tmp_path: Path) -> None:
    allow(environment, known=False)
    with pytest.raises(DeclarationError) as caught:
        allow(Environment(tmp_path), known=False)
    assert caught.value.reason == "no-environment"
    colon = tmp_path / "a:b"
    environment.directory.rename(colon)
    with pytest.raises(DeclarationError) as caught:
        allow(Environment(colon), known=False)
    assert caught.value.reason == "bad-directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("name", ["", "dolmen.toml", ".dolmen"])
def test_nothing_of_another_user(environment: Environment, name: str) -> None:
    allow(environment, known=False)
    os.chown(environment.directory / name, 4242, 4242)
    with pytest.raises(DeclarationError) as caught:
        allow(environment, known=False)
    assert caught.value.reason == "foreign-environment"


def test_a_home_that_cannot_be_written(environment: Environment, home: Path) -> None:
    (home / ".local").write_text("no directory")
    with pytest.raises(HostError) as caught:
        allow(environment, known=False)
    assert caught.value.reason == "read-only"
