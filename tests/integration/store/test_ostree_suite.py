"""libostree's own tests of its command, against `dolmen store`: what passed may not fail again.

The package ostree-tests comes from Debian's archive when this runs; without it these tests fail,
unless `--offline` was given, which is counted. `scripts/ostree-tests` runs all of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.ostree_suite import NEEDS, Graded, fetch, grade, scratch, write_wrapper

pytestmark = pytest.mark.network

#: Script -> checks that pass, at least. It goes up, never down: a lower number is a lost behaviour.
FLOORS = {
    "test-basic-user.sh": 96,
    "test-basic-user-only.sh": 97,
    "test-basic-root.sh": 1,
    "test-archivez.sh": 13,
    "test-libarchive.sh": 18,
    "test-export.sh": 5,
    "test-prune.sh": 17,
    "test-prune-collections.sh": 2,
    "test-refs.sh": 7,
    "test-refs-collections.sh": 2,
    "test-fsck-delete.sh": 6,
    "test-fsck-collections.sh": 11,
    "test-corruption.sh": 9,
    "test-reset-nonlinear.sh": 1,
    "test-commit-timestamp.sh": 2,
    "test-config.sh": 3,
    "test-remote-add.sh": 16,
    "test-local-pull.sh": 8,
    "test-pull-sizes.sh": 3,
}
#: A `reset` that says it was done, and was not.
BROKEN = 'if [ "$verb" = reset ]; then exit 0; fi\n'


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [f"{name} ({package})" for name, package in NEEDS.items() if not shutil.which(name)]
    assert not missing, f"the scripts call what is not here: {', '.join(missing)}"
    return fetch(tmp_path_factory.mktemp("ostree-tests"))


@pytest.fixture(scope="module")
def graded(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Graded]]:
    """All scripts, two at a time, the long ones first."""
    with scratch(tmp_path_factory.mktemp("run")) as work:
        programs = work / "bin"
        programs.mkdir()
        write_wrapper(programs / "ostree")
        yield {found.script: found for found in grade(suite, FLOORS, programs, work, jobs=2)}


@pytest.mark.parametrize("script", FLOORS)
def test_no_check_is_lost(graded: dict[str, Graded], script: str) -> None:
    found = graded[script]
    end = "\n".join(found.text.splitlines()[-25:])
    assert found.ok >= FLOORS[script], f"{found.ok} of {found.planned}; {found.why}\n{end}"


def test_nothing_was_asked_of_the_stock_command(graded: dict[str, Graded]) -> None:
    # Each verb that the scripts above use is one of ours: a refused one would have been written.
    assert {verb for found in graded.values() for verb in found.refused} == set()


def test_a_reset_that_does_nothing_is_caught(suite: Path, tmp_path: Path) -> None:
    script = "test-basic-user-only.sh"
    with scratch(tmp_path) as work:
        programs = work / "bin"
        programs.mkdir()
        write_wrapper(programs / "ostree", sabotage=BROKEN)
        (found,) = grade(suite, [script], programs, work)
    assert found.status != 0
    assert 0 < found.ok < FLOORS[script] // 2
