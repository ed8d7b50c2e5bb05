"""Whose tasks they are, on a host where others make many too."""

from __future__ import annotations

import pytest

from dolmen.sandbox import tasks
from dolmen.sandbox.tasks import TaskBound

INIT = 10
LIMIT = 100


class Host:
    """A host with so many tasks, of which some of the newest are the sandbox's."""

    def __init__(self) -> None:
        self.tasks = 500
        self.newest = 20_000
        self.ours: set[int] = {INIT}
        self.others: set[int] = set()

    def namespace(self, task: int) -> str:
        if task in self.ours:
            return "pid:[1]"
        return "pid:[2]" if task in self.others else ""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """One instead of ours; its time stands still between looks."""
    made = Host()
    monkeypatch.setattr(tasks, "_host_tasks", lambda: (made.tasks, made.newest))
    monkeypatch.setattr(tasks, "_namespace", made.namespace)
    monkeypatch.setattr(tasks, "_kernel", lambda: (0, 0))
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.0)
    return made


def test_a_bomb_is_told(host: Host) -> None:
    bound = TaskBound(LIMIT)
    assert not bound.exceeded(INIT)
    host.tasks += LIMIT + 1
    host.ours.update(range(host.newest - LIMIT, host.newest + 1))
    assert bound.exceeded(INIT)


def test_a_build_is_not_stopped_for_what_others_do(host: Host) -> None:
    bound = TaskBound(LIMIT)
    host.tasks += 10 * LIMIT
    host.others.update(range(host.newest - 5_000, host.newest - 300))
    # what a maintainer script has running: few, but the newest
    host.ours.update(range(host.newest - 4, host.newest + 1))
    assert not bound.exceeded(INIT)
    host.others.update(range(host.newest - 199, host.newest - 100))
    assert not bound.exceeded(INIT)
