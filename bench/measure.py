"""Whole processes, timed from start to end; and the fresh file systems they work on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_LIMIT = 3600


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: wall clock and CPU seconds, and the largest process among it and its children."""

    seconds: float
    cpu: float
    peak_kib: int


@dataclass(slots=True)
class Result:
    """What a case found; `figures` are numbers that are no times, by name."""

    title: str
    aim: str
    dolmen: list[Sample] = field(default_factory=list)
    peer: list[Sample] = field(default_factory=list)
    peer_name: str = "mmdebstrap"
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times faster than the peer, by medians."""
        if not (self.dolmen and self.peer):
            return None
        return median(self.peer) / median(self.dolmen)

    def as_json(self) -> dict[str, Any]:
        """The whole value, for build/benchmarks.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Result:
        """Back again."""
        samples = {key: [Sample(**item) for item in value[key]] for key in ("dolmen", "peer")}
        return cls(**{**value, **samples})


def median(samples: Sequence[Sample]) -> float:
    """The median of the wall clock seconds."""
    return statistics.median(sample.seconds for sample in samples)


def timed(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    pass_fds: Sequence[int] = (),
) -> Sample:
    """Run a command that must succeed; its output goes to `log`, shown when it fails."""
    with log.open("wb") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
        status, usage = _wait(child.pid)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        tail = log.read_text(errors="replace")[-3000:]
        raise SystemExit(f"failed with {child.returncode}: {' '.join(argv)}\n{tail}")
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def _wait(pid: int) -> tuple[int, Any]:
    """wait4(2) with a limit; it tells the largest process of all that were waited for."""

    def late(_signal: int, _frame: object) -> None:
        os.killpg(pid, signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_LIMIT)
    try:
        _, status, usage = os.wait4(pid, 0)
        return status, usage
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def fresh_filesystem(kind: str, *, gigabytes: int = 20) -> Iterator[Path]:
    """A new, empty file system of this kind ("ext4", "tmpfs"; "directory" makes none)."""
    base = Path(tempfile.mkdtemp(prefix="dolmen-bench-"))
    base.chmod(0o755)
    place = base / "mnt"
    place.mkdir()
    try:
        if kind == "ext4":
            image = base / "image"
            with image.open("wb") as stream:
                stream.truncate(gigabytes << 30)
            _do(
                "mkfs.ext4", "-q", "-m0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)
            )
            _do("mount", "-o", "loop", str(image), str(place))
        elif kind == "tmpfs":
            _do("mount", "-t", "tmpfs", "-o", f"size={gigabytes}g", "tmpfs", str(place))
        os.sync()
        yield place
    finally:
        if os.path.ismount(place):
            _unmount(place)
        shutil.rmtree(base)


def _unmount(place: Path) -> None:
    """What was just killed may hold it a moment longer."""
    for _ in range(50):
        if subprocess.run(["umount", str(place)], capture_output=True, timeout=60).returncode == 0:
            return
        time.sleep(0.2)
    _do("umount", "--lazy", str(place))


def _do(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=300)


def used_bytes(place: Path) -> int:
    """What is taken on a file system, its own tables included."""
    os.sync()
    state = os.statvfs(place)
    return (state.f_blocks - state.f_bfree) * state.f_frsize
