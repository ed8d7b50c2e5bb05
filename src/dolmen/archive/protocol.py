"""What parent and worker say to each other: one JSON request, then JSON lines of events.

The last line is a result or an error. Only plain values cross; the parent builds the frozen
values, so a damaged worker cannot smuggle anything else in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import Enum
from typing import IO, Any

from dolmen.support import errors, events

_EVENTS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        events.PhaseStarted,
        events.PhaseProgress,
        events.PhaseFinished,
        events.Waiting,
        events.Notice,
    )
}
_ERRORS: Mapping[str, type[errors.DolmenError]] = {
    kind.__name__: kind
    for kind in (
        errors.DolmenError,
        errors.DeclarationError,
        errors.SolveError,
        errors.ArchiveError,
        errors.StoreError,
        errors.HostError,
        errors.BusyError,
    )
}


def event_writer(stream: IO[str]) -> Callable[[events.Event], None]:
    """An `emit` that writes lines for the parent."""

    def emit(event: events.Event) -> None:
        values = {
            name: value.value if isinstance(value, Enum) else value
            for name, value in asdict(event).items()
        }
        _line(stream, {"event": type(event).__name__, "values": values})

    return emit


def write_result(stream: IO[str], result: Mapping[str, Any]) -> None:
    """The worker's last line on success."""
    _line(stream, {"result": result})


def write_error(stream: IO[str], error: errors.DolmenError) -> None:
    """The worker's last line on failure."""
    values = {
        "message": error.message,
        "reason": error.reason,
        "context": error.context,
        "hint": error.hint,
        "details": list(error.details),
    }
    _line(stream, {"error": type(error).__name__, "values": values})


def read_line(line: bytes, emit: events.Emit) -> Mapping[str, Any] | None:
    """Pass an event on, raise an error, or return the result.

    Raises ValueError for a line that is none of them.
    """
    data = json.loads(line)
    if "result" in data:
        result: Mapping[str, Any] = data["result"]
        return result
    values = data["values"]
    if "error" in data:
        message = values.pop("message")
        raise _ERRORS[data["error"]](message, **values)
    if "phase" in values:
        values["phase"] = events.Phase(values["phase"])
    emit(_EVENTS[data["event"]](**values))
    return None


def _line(stream: IO[str], value: Mapping[str, Any]) -> None:
    stream.write(json.dumps(value) + "\n")
    stream.flush()
