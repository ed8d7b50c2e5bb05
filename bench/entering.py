"""Entering an environment, beside the bubblewrap call that its launcher makes, made by hand."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.measure import Result, Sample
from bench.setting import Place

_RUNS = 40


def measure(here: Place, result: Result, command: Callable[[Path], list[str]]) -> None:
    """Time `command(project)` and the same bubblewrap call in turn."""
    project = here.project("project", ("python3",))
    here.run_dolmen(project, "install")
    ours = command(project)
    launch = [str(project / ".dolmen/current/launch"), "--print", "true"]
    printed = subprocess.run(
        launch, check=True, env=here.environment, cwd=project, capture_output=True, timeout=60
    )
    by_hand = printed.stdout.decode().splitlines()
    here.run(ours, project)  # once for the page cache
    for _ in range(_RUNS):
        result.dolmen.append(here.run(ours, project))
        result.peer.append(bubblewrap(here, project, by_hand))


def bubblewrap(here: Place, project: Path, argv: list[str]) -> Sample:
    """The call by hand; the filter that it reads comes in through a descriptor."""
    filter_file = os.open(project / ".dolmen/current/host/filter", os.O_RDONLY)
    descriptor = fcntl.fcntl(filter_file, fcntl.F_DUPFD, 100)
    try:
        place = argv.index("--seccomp") + 1
        argv = [*argv[:place], str(descriptor), *argv[place + 1 :]]
        return here.run(argv, project, pass_fds=(descriptor,))
    finally:
        os.close(filter_file)
        os.close(descriptor)
