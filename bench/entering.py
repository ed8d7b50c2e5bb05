"""Entering an environment, beside the bubblewrap call that a launcher makes, made by hand."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.measure import Result
from bench.setting import Place

_RUNS = 40


def measure(here: Place, result: Result, command: Callable[[Path], list[str]]) -> None:
    """Time `command(project)` and the same bubblewrap call in turn."""
    project = here.project("project", ("python3",))
    here.run_dolmen(project, "install")
    ours = command(project)
    by_hand = bubblewrap_call(here, project, ours)
    for argv in (ours, by_hand):  # once for the page cache
        here.run(argv, project)
    for _ in range(_RUNS):
        result.dolmen.append(here.run(ours, project))
        result.peer.append(here.run(by_hand, project))


def bubblewrap_call(here: Place, project: Path, argv: list[str]) -> list[str]:
    """The argument list that a command hands to bwrap, as strace(1) sees it."""
    trace = here.root / "trace"
    strace = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-e", "trace=execve", "-o", str(trace)]
    subprocess.run(
        [*strace, *argv],
        check=True,
        env=here.environment,
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    for line in trace.read_text().splitlines():
        found = re.search(r'execve\("((?:\\x..)+)", \[(.*?)\], .*\) = 0', line)
        if found and _text(found.group(1)).endswith("/bwrap"):
            return [_text(item) for item in re.findall(r'"((?:\\x..)*)"', found.group(2))]
    raise SystemExit(f"{argv} never called bwrap:\n{trace.read_text()[-2000:]}")


def _text(escaped: str) -> str:
    return bytes.fromhex(escaped.replace("\\x", "")).decode()
