"""Parts of a phase are told as one."""

from __future__ import annotations

from dolmen.image.joined import Joined
from dolmen.support.events import (
    Event,
    Notice,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
)


def test_two_parts_are_one_line() -> None:
    heard: list[Event] = []
    joined = Joined(heard.append, {Phase.FETCH: 2, Phase.IMPORT: 1})
    for part, count in ((1, 3), (2, 4)):
        joined(PhaseStarted(Phase.FETCH, count))
        joined(PhaseProgress(Phase.FETCH, done=count, total=count, bytes_done=10, bytes_total=10))
        joined(PhaseFinished(Phase.FETCH, count, 1.0, size=10, cached=part))
    assert [type(event) for event in heard] == [
        PhaseStarted,
        PhaseProgress,
        PhaseProgress,
        PhaseFinished,
    ]
    last = heard[-2]
    assert isinstance(last, PhaseProgress)
    assert (last.done, last.bytes_done, last.bytes_total) == (7, 20, 20)
    end = heard[-1]
    assert isinstance(end, PhaseFinished)
    assert (end.count, end.size, end.cached) == (7, 20, 3)


def test_whole_phases_and_notices_pass() -> None:
    heard: list[Event] = []
    joined = Joined(heard.append, {Phase.IMPORT: 1, Phase.FETCH: 0})
    events: list[Event] = [
        PhaseStarted(Phase.IMPORT, 2),
        Notice("hello"),
        PhaseFinished(Phase.IMPORT, 2, 0.1),
        PhaseStarted(Phase.FETCH, 2),
    ]
    for event in events:
        joined(event)
    assert heard == events
