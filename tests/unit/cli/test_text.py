"""What reaches a terminal, and how it reads."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.cli import text
from dolmen.cli.progress import Listener, phase_line
from dolmen.support.events import (
    Event,
    Notice,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
    SlowScript,
    Waiting,
)


@given(st.text())
def test_nothing_that_a_terminal_obeys_remains(raw: str) -> None:
    clean = text.sanitise(raw)
    assert not any(ord(c) < 32 and c not in "\t\n" for c in clean)
    assert not any(0x7F <= ord(c) <= 0x9F for c in clean)
    clean.encode()


def test_ordinary_text_stays() -> None:
    assert text.sanitise("naïve → 日本\n\tx") == "naïve → 日本\n\tx"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (8493466, "8.1 MiB"), (-2048, "-2 KiB"),
     (5 << 30, "5.0 GiB"), (5 << 40, "5120.0 GiB")],
)  # fmt: skip
def test_sizes(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("duration", "shown"),
    [(0.014, "0.01 s"), (1.24, "1.2 s"), (42.4, "42 s"), (125, "2 min 5 s")],
)
def test_durations(duration: float, shown: str) -> None:
    assert text.seconds(duration) == shown


def test_counts() -> None:
    assert text.count(1, "package") == "1 package"
    assert text.count(2, "package") == "2 packages"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (PhaseFinished(Phase.SOLVE, 43, 0.4), "Resolved 43 packages in 0.40 s"),
        (
            PhaseFinished(Phase.FETCH, 12, 1.2, size=8493466),
            "Fetched 12 packages (8.1 MiB) in 1.2 s",
        ),
        (
            PhaseFinished(Phase.FETCH, 12, 1.2, cached=11),
            "Fetched 1 package in 1.2 s, 11 were there already",
        ),
        (PhaseFinished(Phase.IMPORT, 12, 0.1, cached=12), ""),
        (PhaseFinished(Phase.CONFIGURE, 31, 2.9), "Configured 31 packages in 2.9 s"),
    ],
)
def test_phase_lines(event: PhaseFinished, line: str) -> None:
    assert phase_line(event) == line


EVENTS: list[Event] = [
    PhaseStarted(Phase.FETCH, 2),
    PhaseProgress(Phase.FETCH, 1, 2, 10, 20, "jq"),
    SlowScript("font\x1bconfig", 2.4),
    Waiting("the store"),
    Notice("be \x07ware", level="warning"),
    PhaseFinished(Phase.FETCH, 2, 0.5, 20),
]


def listen(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **options: bool) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    settings = {"quiet": False, "bar": True, "as_json": False, "colour": False, **options}
    listener = Listener(**settings)
    for event in EVENTS:
        listener(event)
    listener.close()


def test_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    listen(monkeypatch, stream)
    assert stream.getvalue().splitlines() == [
        "  font\ufffdconfig took 2.4 s to configure",
        "Waiting for the store: another process is at work on it",
        "warning: be \ufffdware",
        "Fetched 2 packages (20 B) in 0.50 s",
    ]


def test_quiet_still_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    listen(monkeypatch, stream, quiet=True)
    assert stream.getvalue() == "warning: be \ufffdware\n"


def test_events_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    stream = io.StringIO()
    listen(monkeypatch, stream, as_json=True)
    values = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [value["event"] for value in values] == [type(event).__name__ for event in EVENTS]
    assert values[1]["phase"] == "fetch"


def test_quick_phases_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    listen(monkeypatch, stream)
    assert "Fetching" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("dolmen.cli.progress._PATIENCE", 0)
    listen(monkeypatch, stream)
    assert "Fetching" in stream.getvalue()
    assert "Fetched 2 packages (20 B) in 0.50 s" in stream.getvalue()


def test_a_terminal_that_went_away_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    listen(monkeypatch, Gone())


def test_streams_that_know_few_characters() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    text.write_line(stream, "1 → 2 … é")
    assert raw.getvalue() == b"1 -> 2 ... e?\n"


@pytest.mark.parametrize(
    ("choice", "environ", "wanted"),
    [
        ("auto", {}, True),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": ""}, True),
        ("auto", {"TERM": "dumb"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {}, False),
    ],
)
def test_when_to_colour(choice: str, environ: dict[str, str], wanted: bool) -> None:
    assert text.wants_colour(Terminal(), choice, environ) is wanted
    if choice == "auto":
        assert not text.wants_colour(io.StringIO(), choice, environ)
