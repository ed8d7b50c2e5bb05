"""Environments made of packages named on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.environment import Environment, ad_hoc, prepare
from dolmen.environment.adhoc import expire, name_of
from dolmen.model import parse_spec
from dolmen.support.errors import SolveError
from dolmen.support.files import remove_tree
from tests.lib.backend import FakeBackend

SPECS = [parse_spec("jq"), parse_spec("curl")]


def make(backend: FakeBackend, *names: str, **options: object) -> Environment:
    specs = [parse_spec(name) for name in names]
    return ad_hoc(specs, backend=backend, suite="bookworm", **options)  # type: ignore[arg-type]


def test_second_time_costs_nothing(backend: FakeBackend) -> None:
    first = make(backend, "jq", "curl")
    backend.calls = []
    assert make(backend, "jq", "curl") == first
    assert backend.calls == []
    launcher = prepare(first, backend=backend, command="shell", mode="frozen")
    assert launcher.exists()
    assert backend.calls == []


def test_the_first_command_ever(backend: FakeBackend, tmp_path: Path) -> None:
    backend.store_path = tmp_path / "not-there-yet"
    assert make(backend, "jq").directory.is_dir()


def test_same_lock_same_environment(backend: FakeBackend) -> None:
    first = make(backend, "jq", "curl")
    backend.calls = []
    assert make(backend, "curl", "jq") == first
    assert "build" not in backend.calls
    names = backend.store_path / "shells/names"
    assert sorted(os.listdir(names)) == ["bookworm,curl,jq", "bookworm,jq,curl"]


def test_refresh_solves_again(backend: FakeBackend) -> None:
    first = make(backend, "jq")
    backend.universe["jq"] = "2-1"
    assert make(backend, "jq") == first
    assert make(backend, "jq", refresh=True) != first


def test_a_failed_solve_leaves_no_name(backend: FakeBackend) -> None:
    with pytest.raises(SolveError):
        make(backend, "nothing")
    assert not (backend.store_path / "shells/names").exists()


def test_unused_ones_expire(backend: FakeBackend) -> None:
    old = make(backend, "jq")
    os.utime(old.state / "used", (1, 1))
    new = make(backend, "curl")
    assert not old.directory.exists()
    assert new.directory.exists()
    assert os.listdir(backend.store_path / "shells/names") == ["bookworm,curl"]
    assert not backend.registered(old.directory)
    assert expire(backend) == ()


def test_use_keeps_alive(backend: FakeBackend) -> None:
    old = make(backend, "jq")
    os.utime(old.state / "used", (1, 1))
    make(backend, "jq")
    make(backend, "curl")
    assert old.directory.exists()


@pytest.mark.parametrize(
    ("specs", "plain"),
    [
        (["jq", "libc6:i386", "g++", "python3=3.11.2-1+b1"], True),
        (["gcc/bookworm-backports"], False),
        (["a" * 100, "b" * 100], False),
    ],
)
def test_names_are_file_names(specs: list[str], plain: bool) -> None:
    name = name_of("bookworm", [parse_spec(spec) for spec in specs])
    assert name.startswith("sha256-") is not plain
    assert "/" not in name
    assert len(name) <= 255


def test_a_lost_tree_is_made_again(backend: FakeBackend, tmp_path: Path) -> None:
    environment = make(backend, "jq")
    tree = Path(os.readlink(environment.current / "tree"))
    remove_tree(tree)
    assert make(backend, "jq") == environment
    assert tree.is_dir()
