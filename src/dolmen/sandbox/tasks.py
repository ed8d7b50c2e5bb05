"""Counting the tasks of a sandbox, to end fork bombs.

RLIMIT_NPROC does not bind processes whose uid is the host's root, and a cgroup needs delegation
that most hosts do not give. So the builder asks here about ten times a second: one read of
/proc/loadavg as long as the host's number of tasks has not grown beyond the bound, and only then
a look at which of them are in the sandbox.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_PROC = Path("/proc")
_INTERVAL = 0.1


class TaskBound:
    """Says when a pid namespace holds more than `limit` processes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 0.0
        self._baseline = _host_tasks()

    def exceeded(self, init: int | None) -> bool:
        """Whether the namespace of process `init` (None: not known yet) holds too many."""
        now = time.monotonic()
        if init is None or now < self._next:
            return False
        self._next = now + _INTERVAL
        if _host_tasks() - self._baseline <= self._limit:
            return False
        return _has_members(init, self._limit)


def _host_tasks() -> int:
    """All tasks of the host: the part after the slash in proc(5) loadavg's fourth field."""
    return int((_PROC / "loadavg").read_text().split()[3].partition("/")[2])


def _has_members(init: int, limit: int) -> bool:
    """Whether more than `limit` processes share the pid namespace of `init`."""
    try:
        namespace = os.readlink(_PROC / str(init) / "ns/pid")
    except OSError:
        return False
    count = 0
    # The highest numbers are the youngest: a bomb's processes are found first.
    for number in sorted(
        (int(name) for name in os.listdir(_PROC) if name.isdecimal()), reverse=True
    ):
        try:
            count += os.readlink(f"{_PROC}/{number}/ns/pid") == namespace
        except OSError:
            continue  # gone meanwhile, or not ours
        if count > limit:
            return True
    return False
