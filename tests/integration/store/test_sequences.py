"""Any sequence of commits, resets, tags, checkouts, prunes and kills, held against a model.

Hypothesis chooses the sequences. The model is what a person believes: every ref names a commit, and
every commit holds the files that it was made of. After each step all of that is so, to the program
`ostree` as well; after a prune the repository holds the objects that refs reach, and no other.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dolmen.support.run import run
from tests.lib.faults.repositories import RepositoryWorld, digest
from tests.lib.faults.tracing import CHANGING, STRACE, Fault
from tests.lib.faults.worlds import memory_directory
from tests.lib.faults.zygote import Zygote

#: How many sequences; DOLMEN_TEST_EXAMPLES says another number.
EXAMPLES = int(os.environ.get("DOLMEN_TEST_EXAMPLES", "8"))
STEPS = 14
BRANCHES = st.sampled_from(["main", "debian/stable"])
TAGS = st.sampled_from(["v1", "v2"])
NUMBERS = st.integers(0, 5)
#: Where a kill comes: before the Nth call of a kind.
KILLS = st.tuples(st.sampled_from(["renameat", "mkdirat", "fsync", "linkat"]), st.integers(1, 14))

pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace")


class Machine(RuleBasedStateMachine):
    """One repository, from its first commit on."""

    zygote: Zygote
    base: Path
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        directory = self.base / str(next(self.numbers))
        directory.mkdir()
        self.world = RepositoryWorld(self.zygote, directory)
        #: Refs with their commits; commits with what they hold and the commit before.
        self.refs: dict[str, str] = {}
        self.trees: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}
        #: Commits that a prune may have taken.
        self.gone: set[str] = set()
        self.clock = 1_000_000_000

    @initialize(mode=st.sampled_from(["bare-user", "archive"]))
    def begin(self, mode: str) -> None:
        self.mode = mode
        self.world.store("init", f"--mode={mode}")

    # What a person does

    @rule(branch=BRANCHES, number=NUMBERS)
    def commit(self, branch: str, number: int) -> None:
        before = self.refs.get(branch)
        made = self.world.store(*self._commit(branch, number)).strip()
        self._made(branch, made, before)

    @rule(branch=BRANCHES, number=NUMBERS, kill=KILLS)
    def commit_killed(self, branch: str, number: int, kill: tuple[str, int]) -> None:
        """The branch is where it was, or where it shall be; the same again succeeds."""
        before = self.refs.get(branch)
        words = ("store", "--repo=repo", *self._commit(branch, number))
        name, nth = kill
        fault = Fault("killed", (f"{name}:signal=SIGKILL:when={nth}",))
        self.world.traced(*words, names=CHANGING, fault=fault)
        there = self.world.refs(self.world.repo).get(f"ref {branch}")
        if there not in (None, before):
            self._made(branch, there, before)
        else:
            assert there == before
            self._made(branch, self.world.ok(*words).strip(), before)

    @precondition(lambda self: self.refs)
    @rule(data=st.data(), branch=BRANCHES)
    def reset(self, data: st.DataObject, branch: str) -> None:
        there = sorted(set(self.trees) - self.gone)
        target = data.draw(st.sampled_from(there))
        if branch in self.refs:
            self.world.store("reset", branch, target)
            self.refs[branch] = target

    @precondition(lambda self: self.refs)
    @rule(data=st.data(), tag=TAGS)
    def tag(self, data: st.DataObject, tag: str) -> None:
        target = self.refs[data.draw(st.sampled_from(sorted(self.refs)))]
        ended = self.world.run("store", "--repo=repo", "tag", tag, target)
        assert ended.code == (7 if tag in self.refs else 0), ended
        self.refs.setdefault(tag, target)

    @rule(name=st.one_of(BRANCHES, TAGS))
    def delete(self, name: str) -> None:
        if name in self.refs:
            self.world.store("refs", "--delete", name)
            del self.refs[name]

    @precondition(lambda self: self.refs)
    @rule(data=st.data())
    def checkout(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.refs)))
        target = self.world.here / f"out-{next(self.numbers)}"
        self.world.store("checkout", "-U", name, str(target))
        assert digest(target) == self.trees[self.refs[name]]

    @rule(kill=st.one_of(st.none(), st.tuples(st.just("unlinkat"), st.integers(1, 8))))
    def prune(self, kill: tuple[str, int] | None) -> None:
        """Also when it is killed first: nothing that is needed goes, and the next one finishes."""
        words = ("store", "--repo=repo", "prune", "--refs-only")
        if kill is not None:
            name, nth = kill
            fault = Fault("killed", (f"{name}:signal=SIGKILL:when={nth}",))
            self.world.traced(*words, names=CHANGING, fault=fault)
            self.whole()
        self.world.ok(*words)
        needed = self.reachable()
        self.gone = set(self.trees) - needed
        there = {path.parent.name + path.stem for path in self.world.repo.glob("objects/*/*")}
        assert needed <= there
        assert {name for name in there if name in self.trees} == needed
        # The program ostree has nothing to add, nor to take away.
        done = run(["ostree", f"--repo={self.world.repo}", "prune", "--refs-only"], timeout=60)
        assert b"No unreachable objects" in done.stdout, done

    # What must always be so

    @invariant()
    def whole(self) -> None:
        if not hasattr(self, "mode"):
            return
        assert self.world.refs(self.world.repo) == {f"ref {n}": c for n, c in self.refs.items()}
        ours = self.world.run("store", "--repo=repo", "fsck")
        theirs = run(["ostree", f"--repo={self.world.repo}", "fsck", "-q"], timeout=60)
        assert (ours.code, theirs.returncode) == (0, 0), (ours, theirs)

    def teardown(self) -> None:
        for name, commit in self.refs.items():
            target = self.world.here / f"last-{name.replace('/', '-')}"
            words = ["ostree", f"--repo={self.world.repo}", "checkout", "-U", name, str(target)]
            assert run(words, timeout=60).ok
            assert digest(target) == self.trees[commit]

    # Helpers

    def _commit(self, branch: str, number: int) -> tuple[str, ...]:
        self.world.tree("tree", number)
        for other in range(6):
            if other != number:
                with contextlib.suppress(FileNotFoundError):
                    (self.world.here / f"tree/share/{other}").unlink()
        self.clock += 1
        return ("commit", "-b", branch, f"--timestamp=@{self.clock}", "tree")

    def _made(self, branch: str, commit: str, before: str | None) -> None:
        assert len(commit) == 64
        self.refs[branch] = commit
        self.trees[commit] = digest(self.world.here / "tree")
        self.parents[commit] = before

    def reachable(self) -> set[str]:
        """The commits of all refs, with all that came before and is there."""
        found: set[str] = set()
        for commit in self.refs.values():
            at: str | None = commit
            while at is not None and at not in self.gone:
                found.add(at)
                at = self.parents[at]
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[None]:
    with Zygote() as zygote, memory_directory() as directory:
        Machine.zygote, Machine.base = zygote, directory
        yield


def test_any_sequence(place: None) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # a step takes a tenth of a second: too long for shrinking
            suppress_health_check=list(HealthCheck),
        ),
    )
