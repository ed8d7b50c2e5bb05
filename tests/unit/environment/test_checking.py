"""Damage in environments is found, and damage in the store is told with who suffers from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.environment import Environment, generations
from dolmen.environment.checking import Report, check
from dolmen.store import Store
from tests.lib.damage import installed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "real")


@pytest.fixture
def whole(store: Store, tmp_path: Path) -> Environment:
    """An environment with one generation."""
    return installed(store, tmp_path / "project")


def parts(report: Report) -> set[tuple[str, str]]:
    return {(fault.part, fault.what.split(":")[0]) for fault in report.faults}


def test_who_suffers(store: Store, whole: Environment) -> None:
    image = generations.current(whole)
    assert image is not None
    tree = store.trees / image.generation.image
    with (tree / "usr/bin/jq").open("a") as stream:
        stream.write("x")
    (fault,) = check(store, quick=True).faults
    assert (fault.part, fault.what, fault.path) == ("object", "content", "/usr/bin/jq")
    assert fault.sufferers == (f"{whole.directory} generation 1",)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 9}', "\0"])
def test_records(store: Store, whole: Environment, content: str) -> None:
    (generations.directory_of(whole, 1) / "generation.json").write_text(content)
    assert parts(check(store)) == {("generation", "bad record")}


@pytest.mark.parametrize("name", ["dolmen.toml", "dolmen.lock"])
def test_copies(store: Store, whole: Environment, name: str) -> None:
    for path in (generations.directory_of(whole, 1) / name, whole.directory / name):
        content = path.read_bytes()
        for bad in (b"\xff\0", content[: len(content) // 2] + b"\nx"):
            path.write_bytes(bad)
            (fault,) = check(store).faults
            assert fault.path == str(path)
        path.write_bytes(content)
    assert check(store).whole


def test_another_lock(store: Store, whole: Environment) -> None:
    path = generations.directory_of(whole, 1) / "dolmen.lock"
    path.write_text(path.read_text().replace("Version: 1.6-2", "Version: 1.6-3"))
    assert parts(check(store)) == {("generation", "its lock is another one")}


def test_pointers_of_an_environment(store: Store, whole: Environment) -> None:
    whole.current.unlink()
    whole.current.symlink_to("generations/7")
    assert parts(check(store)) == {("environment", "dangling")}
    whole.current.unlink()
    whole.current.symlink_to("current")
    assert parts(check(store)) == {("environment", "names no generation")}
    whole.current.unlink()
    whole.current.symlink_to("generations/1")
    link = generations.directory_of(whole, 1) / "tree"
    link.unlink()
    assert parts(check(store)) == {("generation", "its link leads to another tree")}
    link.symlink_to("/")
    assert parts(check(store)) == {("generation", "its link leads to another tree")}


def test_a_missing_image(store: Store, whole: Environment) -> None:
    record = generations.current(whole)
    assert record is not None
    (store.trees / record.generation.image).rename(store.tmp / "x")
    assert parts(check(store)) == {("tree", "missing")}
    (store.path / "repo/refs/heads/image" / record.generation.image).unlink()
    assert ("ref", "missing") in parts(check(store))
