"""Bounding and counting the tasks of a sandbox, to end fork bombs.

Where the kernel has a pid_max for each pid namespace (Linux 6.14), the sandbox cannot hold more
tasks than that, and the host never runs out. Elsewhere only counting helps: RLIMIT_NPROC does not
bind processes whose uid is the host's root, and a cgroup needs delegation that most hosts do not
give. So the builder asks here some fifty times a second (a bomb doubles in less): one read of
/proc/loadavg. When the host's tasks have grown beyond the bound, the newest ones tell whose they
are; counting all would take seconds while a bomb goes off.
"""

from __future__ import annotations

import os
import re
import time

from dolmen.support.run import run

POLL_SECONDS = 0.02
#: The least that the kernel accepts is 301; some room for a job that is about to be stopped.
_LEAST_PID_MAX = 512
_SAMPLE = 200
#: So many of them must live in the sandbox: on a busy host others make the tasks grow, and the few
#: processes of a build are the newest all the same.
_MANY = 50


class TaskBound:
    """Says when a pid namespace is what made the host's tasks grow by more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 0.0
        self._bounded = False
        self._baseline, _newest = _host_tasks()

    def exceeded(self, init: int | None) -> bool:
        """Whether the namespace of process `init` (None: not known yet) holds too many."""
        now = time.monotonic()
        if init is None or now < self._next:
            return False
        if not self._bounded:
            self._bounded = True
            _bound_namespace(init, max(self._limit, _LEAST_PID_MAX))
        self._next = now + POLL_SECONDS
        tasks, newest = _host_tasks()
        return tasks - self._baseline > self._limit and _made_by(init, newest)


def _bound_namespace(init: int, limit: int) -> None:
    """Set pid_max of the pid namespace of `init`, where namespaces have one of their own.

    On older kernels the file is the host's, and a sandbox that the host's root made may write it.
    """
    if _kernel() < (6, 14):
        return
    argv = ["nsenter", f"--target={init}", "--user", "--pid", "--preserve-credentials"]
    script = f"echo {limit} >/proc/sys/kernel/pid_max"
    run([*argv, "sh", "-c", script], timeout=10)


def _kernel() -> tuple[int, int]:
    """The running kernel's version; (0, 0) where it says nothing of the usual form."""
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _host_tasks() -> tuple[int, int]:
    """How many tasks the host has, and the number it gave last: proc(5), loadavg."""
    with open("/proc/loadavg") as stream:
        fields = stream.read().split()
    return int(fields[3].partition("/")[2]), int(fields[4])


def _made_by(init: int, newest: int) -> bool:
    """Whether most of the newest tasks that still live, and many, are in `init`'s namespace."""
    namespace = _namespace(init)
    found = [_namespace(number) for number in range(newest, max(newest - _SAMPLE, 1), -1)]
    living = [name for name in found if name]
    ours = living.count(namespace) if namespace else 0
    return ours >= _MANY and ours * 2 > len(living)


def _namespace(task: int) -> str:
    try:
        return os.readlink(f"/proc/{task}/ns/pid")
    except OSError:
        return ""  # gone meanwhile, or not ours
