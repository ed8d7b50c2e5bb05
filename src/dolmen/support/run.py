"""The one door through which processes start.

An argument list (never a shell), an explicit environment, a time-out, and a process group that is
killed as a whole: killing only a child leaves its own children spinning (seen with dpkg-deb and a
truncated zstd member, CVE-2026-2219).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dolmen.support.errors import HostError

#: What a child sees when the caller names nothing: no secrets, no locale surprises.
CLEAN_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "TZ": "UTC",
}


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished child: how it ended (negative: the signal) and what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended in time with status 0."""
        return self.returncode == 0 and not self.timed_out


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: bytes | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run a program to its end and collect its output; on time-out kill its whole group.

    Raises HostError (reasons "program-missing", "program-refused") when it cannot start. A failure
    of the program itself is the caller's to judge, by `Completed.ok`.
    """
    with spawn(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
    ) as child:
        try:
            out, err = child.communicate(input, timeout=timeout)
            late = False
        except subprocess.TimeoutExpired:
            kill_group(child)
            late = True
            try:
                out, err = child.communicate(timeout=2)
            except subprocess.TimeoutExpired as error:
                # A grandchild left the group (setsid) and still holds the pipes: not ours to wait.
                out, err = error.stdout or b"", error.stderr or b""
        return Completed(tuple(argv), child.returncode, out, err, late)


@contextlib.contextmanager
def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a process group of its own; the group never outlives the `with` block."""
    try:
        child = subprocess.Popen(
            list(argv),
            env=dict(CLEAN_ENVIRONMENT if env is None else env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        if error.filename != argv[0]:
            raise
        missing = isinstance(error, FileNotFoundError)
        raise HostError(
            f"the program {argv[0]} {'is not installed' if missing else 'may not be executed'}",
            reason="program-missing" if missing else "program-refused",
            hint=f"command -V {argv[0]}",
        ) from None
    try:
        yield child
    finally:
        # Also when the child itself has ended: what it left in the background is in its group.
        child.poll()
        kill_group(child)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL a child's whole process group; no error when it is gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
