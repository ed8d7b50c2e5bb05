"""One line a phase, although a build does its phases in parts and some of them side by side."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dolmen.support.clock import monotonic
from dolmen.support.events import (
    Emit,
    Event,
    Phase,
    PhaseFinished,
    PhaseProgress,
    PhaseStarted,
)


@dataclass(slots=True)
class _State:
    parts: int
    began: float = 0.0
    count: int = 0
    size: int = 0
    cached: int = 0


class Joined:
    """A listener that joins the parts of each phase in `parts` (phase -> how many) into one."""

    def __init__(self, emit: Emit, parts: Mapping[Phase, int]) -> None:
        self._emit = emit
        self._states = {phase: _State(number) for phase, number in parts.items() if number > 1}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take one event of any part, from any thread."""
        with self._lock:
            phase = getattr(event, "phase", None)
            state = self._states.get(phase) if phase is not None else None
            if state is None:
                self._emit(event)
            elif isinstance(event, PhaseStarted):
                if not state.began:
                    state.began = monotonic()
                    self._emit(replace(event, total=0))
            elif isinstance(event, PhaseProgress):
                self._emit(
                    replace(
                        event,
                        done=event.done + state.count,
                        total=0,
                        bytes_done=event.bytes_done + state.size,
                        bytes_total=event.bytes_total and event.bytes_total + state.size,
                    )
                )
            elif isinstance(event, PhaseFinished):
                self._finished(event, state)

    def _finished(self, event: PhaseFinished, state: _State) -> None:
        state.count += event.count
        state.size += event.size
        state.cached += event.cached
        state.parts -= 1
        if state.parts == 0:
            seconds = monotonic() - state.began
            self._emit(PhaseFinished(event.phase, state.count, seconds, state.size, state.cached))
