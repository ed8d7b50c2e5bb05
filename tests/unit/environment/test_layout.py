"""Whose directory it is, and which one is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.environment import Environment, find_environment, open_environment
from dolmen.support.errors import DeclarationError, HostError


def test_found_from_below(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    below = environment.directory / "a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_environment() == environment


def test_found_through_a_symbolic_link(environment: Environment, tmp_path: Path) -> None:
    below = environment.directory / "a"
    below.mkdir()
    (tmp_path / "link").symlink_to(below)
    assert find_environment(tmp_path / "link") == environment


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        find_environment(tmp_path)
    assert caught.value.reason == "no-environment"
    assert caught.value.hint == "dolmen init"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_foreign_directories(environment: Environment) -> None:
    assert find_environment(environment.directory) == environment
    os.chown(environment.manifest, 4242, 4242)
    with pytest.raises(DeclarationError) as caught:
        find_environment(environment.directory)
    assert caught.value.reason == "foreign-environment"
    assert open_environment(environment.directory) == environment
    os.chown(environment.state, 4242, 4242)
    with pytest.raises(DeclarationError) as caught:
        open_environment(environment.directory)
    assert caught.value.reason == "foreign-environment"


def test_a_newer_format_is_refused(environment: Environment) -> None:
    (environment.state / "format").write_text("2\n")
    with pytest.raises(DeclarationError) as caught:
        open_environment(environment.directory)
    assert caught.value.reason == "environment-format"


def test_state_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError) as caught:
        Environment(tmp_path / "file").create_state()
    assert caught.value.reason == "read-only"


def test_an_unreadable_manifest(tmp_path: Path) -> None:
    (tmp_path / "dolmen.toml").mkdir()
    with pytest.raises(DeclarationError) as caught:
        Environment(tmp_path).manifest_text()
    assert caught.value.reason == "unreadable"
