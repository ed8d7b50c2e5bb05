"""Counting the tasks of a sandbox, to end fork bombs.

RLIMIT_NPROC does not bind processes whose uid is the host's root, and a cgroup needs delegation
that most hosts do not give. So the builder asks here some fifty times a second (a bomb doubles in
less): one read of /proc/loadavg. When the host's tasks have grown beyond the bound, the newest
ones tell whose they are; counting all would take seconds while a bomb goes off.
"""

from __future__ import annotations

import os
import time

POLL_SECONDS = 0.02
_SAMPLE = 200


class TaskBound:
    """Says when a pid namespace is what made the host's tasks grow by more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 0.0
        self._baseline, _newest = _host_tasks()

    def exceeded(self, init: int | None) -> bool:
        """Whether the namespace of process `init` (None: not known yet) holds too many."""
        now = time.monotonic()
        if init is None or now < self._next:
            return False
        self._next = now + POLL_SECONDS
        tasks, newest = _host_tasks()
        return tasks - self._baseline > self._limit and _made_by(init, newest)


def _host_tasks() -> tuple[int, int]:
    """How many tasks the host has, and the number it gave last: proc(5), loadavg."""
    with open("/proc/loadavg") as stream:
        fields = stream.read().split()
    return int(fields[3].partition("/")[2]), int(fields[4])


def _made_by(init: int, newest: int) -> bool:
    """Whether most of the newest tasks that still live are in the pid namespace of `init`."""
    namespace = _namespace(init)
    found = [_namespace(number) for number in range(newest, max(newest - _SAMPLE, 1), -1)]
    living = [name for name in found if name]
    return namespace != "" and living.count(namespace) * 2 > len(living)


def _namespace(task: int) -> str:
    try:
        return os.readlink(f"/proc/{task}/ns/pid")
    except OSError:
        return ""  # gone meanwhile, or not ours
