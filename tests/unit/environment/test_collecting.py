"""Which generations and roots are given up; the store is real, its images are small."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dolmen.environment import (
    Environment,
    ad_hoc,
    generations,
    initialise,
    install,
    name_generation,
    pin,
    switch,
)
from dolmen.environment.collecting import DAY, Policy, collect_garbage
from dolmen.environment.rooting import forget_root, list_roots
from dolmen.environment.usage import sizes, store_usage
from dolmen.model import parse_spec
from dolmen.support.errors import DeclarationError
from tests.lib.storing import StoreBackend

Make = Callable[[str], Environment]


@pytest.fixture
def backend(store_dir: Path) -> StoreBackend:
    return StoreBackend(store_dir)


@pytest.fixture
def make(backend: StoreBackend, tmp_path: Path) -> Make:
    """An environment with four generations, the fourth live: jq 1.0, 2.0, 3.0, 4.0."""

    def make(name: str) -> Environment:
        directory = tmp_path / name
        directory.mkdir()
        environment = initialise(directory, suite="bookworm")
        for version in ("1.0", "2.0", "3.0", "4.0"):
            spec = parse_spec(f"jq={version}")
            install(environment, [spec], backend=backend, command=f"install {spec}")
        return environment

    return make


def whole(environment: Environment, backend: StoreBackend) -> None:
    """Every generation there is can be entered, and its image is all there."""
    for number in generations.numbers(environment):
        record = generations.read(environment, number)
        assert (record.tree / "usr/bin/jq").exists()
        commit = backend.store.resolve(f"image/{record.generation.image}")
        inventory = backend.store.inventory()
        assert commit is not None
        assert all(inventory.size(name) or name for name in inventory.reach([commit]))
        assert not inventory.damaged


def age(environment: Environment, number: int, created: str = "2020-01-01T00:00:00Z") -> None:
    path = environment.generations / str(number) / "generation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": created}))


def test_without_a_policy_no_generation_goes(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    found = collect_garbage(backend.store, Policy(grace=0))
    assert found.generations == ()
    assert generations.numbers(one) == (1, 2, 3, 4)
    whole(one, backend)


def test_keep_by_count(make: Make, backend: StoreBackend) -> None:
    one, two = make("one"), make("two")
    images = [generations.read(one, n).generation.image for n in (1, 2, 3, 4)]
    switch(two, 1)
    found = collect_garbage(backend.store, Policy(keep=1, grace=0))
    # The live one, and the one where rollback goes, stay whatever the count.
    assert generations.numbers(one) == (3, 4)
    assert generations.numbers(two) == (1, 4)
    assert {(kept.directory.name, kept.number, kept.why) for kept in found.kept} == {
        ("one", 3, "rollback goes there"),
    }
    whole(one, backend)
    whole(two, backend)
    there = [(backend.store.trees / image).is_dir() for image in images]
    assert there == [True, False, True, True]
    assert generations.read_history(one)[-1].note == "removed 2"


def test_by_age_and_count_both_must_agree(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    age(one, 1)
    age(one, 4)
    collect_garbage(backend.store, Policy(older_than=30 * DAY, keep=3, grace=0))
    assert generations.numbers(one) == (2, 3, 4)
    age(one, 2)
    collect_garbage(backend.store, Policy(older_than=30 * DAY, keep=3, grace=0))
    assert generations.numbers(one) == (2, 3, 4)


def test_one_directory_alone(make: Make, backend: StoreBackend) -> None:
    one, two = make("one"), make("two")
    collect_garbage(backend.store, Policy(keep=1, grace=0, only=two.directory))
    assert generations.numbers(one) == (1, 2, 3, 4)
    assert generations.numbers(two) == (3, 4)
    whole(one, backend)


def test_a_clock_that_jumped_gives_nothing_up(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    age(one, 1, "2090-01-01T00:00:00Z")
    age(one, 2, "nonsense")
    collect_garbage(backend.store, Policy(older_than=0.0, grace=0))
    assert {1, 2, 3, 4} - set(generations.numbers(one)) <= {3}


def test_pinned_and_named_stay(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    pin(one, "1")
    name_generation(one, "2", "release")
    found = collect_garbage(backend.store, Policy(keep=1, grace=0))
    assert generations.numbers(one) == (1, 2, 3, 4)
    assert [kept.why for kept in found.kept] == ["pinned", "named release", "rollback goes there"]


def test_one_in_use_stays(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    tree = generations.read(one, 1).tree
    with subprocess.Popen(["/bin/sleep", "60"], cwd=tree / "usr/bin") as child:
        try:
            found = collect_garbage(backend.store, Policy(keep=1, grace=0))
            assert generations.numbers(one) == (1, 3, 4)
            assert ("in use", 1) in [(kept.why, kept.number) for kept in found.kept]
            shutil.rmtree(one.directory)
            forget_root(backend.store, one.directory)
            found = collect_garbage(backend.store, Policy(grace=0))
            assert found.collected.in_use == (tree.name,)
            assert (tree / "usr/bin/jq").exists()
        finally:
            child.kill()
    collect_garbage(backend.store, Policy(grace=0))
    assert not tree.exists()


def test_enough_is_enough(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    found = collect_garbage(backend.store, Policy(free=1, grace=0))
    assert [given.generation.number for given in found.generations] == [1]
    assert found.freed > 0
    assert generations.numbers(one) == (2, 3, 4)


def test_a_dry_run_says_it_all_and_changes_nothing(make: Make, backend: StoreBackend) -> None:
    one = make("one")

    def listing() -> dict[str, float]:
        paths = [*backend.store_path.rglob("*"), *one.directory.rglob("*")]
        return {str(path): path.lstat().st_mtime for path in paths if path.parent.name != "locks"}

    before = listing()
    said = collect_garbage(backend.store, Policy(keep=1, grace=0), dry_run=True)
    assert listing() == before
    done = collect_garbage(backend.store, Policy(keep=1, grace=0))
    assert said.generations == done.generations
    assert said.collected.counts == done.collected.counts
    assert said.freed == done.freed


def test_a_directory_that_went_away_keeps_its_images_for_a_time(
    make: Make, backend: StoreBackend, tmp_path: Path
) -> None:
    one = make("one")
    trees = set(os.listdir(backend.store.trees))
    one.directory.rename(tmp_path / "elsewhere")
    assert collect_garbage(backend.store, Policy(grace=0)).roots == ()
    assert set(os.listdir(backend.store.trees)) == trees
    (root,) = list_roots(backend.store)
    assert (root.there, bool(root.missing_since)) == (False, True)
    # It comes back: the lease is as good as new.
    (tmp_path / "elsewhere").rename(one.directory)
    collect_garbage(backend.store, Policy(grace=0))
    assert list_roots(backend.store)[0].missing_since is None
    whole(one, backend)
    one.directory.rename(tmp_path / "elsewhere")
    collect_garbage(backend.store, Policy(grace=0))
    found = collect_garbage(backend.store, Policy(grace=0, dead_roots=0))
    assert found.roots == (one.directory,)
    assert os.listdir(backend.store.trees) == []
    assert list_roots(backend.store) == ()


def test_forgetting_does_not_wait(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    shutil.rmtree(one.directory)
    with pytest.raises(DeclarationError) as caught:
        forget_root(backend.store, one.directory / "other")
    assert caught.value.reason == "no-root"
    assert forget_root(backend.store, one.directory) == one.directory
    collect_garbage(backend.store, Policy(grace=0))
    assert os.listdir(backend.store.trees) == []


def test_ad_hoc_environments_expire(backend: StoreBackend) -> None:
    shell = ad_hoc([parse_spec("jq")], backend=backend, suite="bookworm")
    collect_garbage(backend.store, Policy(grace=0))
    whole(shell, backend)
    os.utime(shell.state / "used", (0, 0))
    said = collect_garbage(backend.store, Policy(grace=0), dry_run=True)
    assert said.shells == (shell.directory,)
    assert shell.directory.exists()
    done = collect_garbage(backend.store, Policy(grace=0))
    assert done.shells == (shell.directory,)
    assert said.freed >= done.freed > 0
    assert os.listdir(backend.store.trees) == []
    assert list_roots(backend.store) == ()


def test_a_damaged_generation_keeps_its_image(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    tree = generations.read(one, 1).tree
    (one.generations / "1/generation.json").write_text("{")
    collect_garbage(backend.store, Policy(grace=0))
    assert (tree / "usr/bin/jq").exists()


def test_usage(make: Make, backend: StoreBackend) -> None:
    one = make("one")
    measured = sizes(one, backend.store)
    assert set(measured) == {1, 2, 3, 4}
    assert all(0 < usage.own < usage.total for usage in measured.values())
    alone = store_usage(backend.store)
    assert alone.environments[0].usage.shared == 0
    two = make("two")
    both = store_usage(backend.store)
    assert {entry.directory for entry in both.environments} == {one.directory, two.directory}
    for entry in both.environments:
        assert entry.usage.own == 0
        assert entry.usage.total == alone.environments[0].usage.total
    assert both.total >= sum(part.size for part in both.parts if part.name == "repo")
    assert both.unreferenced == 0
