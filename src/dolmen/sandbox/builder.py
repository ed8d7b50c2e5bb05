"""The builder: maintainer scripts run here, and never see the store or the host.

unshare(1) makes a user namespace with one mapped uid (the caller becomes 0; the host's root too, so
that both get the same result; for images of systems many, see `identities`) and a mount namespace;
an overlay (`userxattr,volatile`) covers the hard-link checkout, so that in-place edits go to
copies; bubblewrap then makes a pid, ipc, uts, cgroup and network namespace with a minimal /dev,
drops most capabilities and loads the filter of `seccomp.py`. All of it stays one process (exec), so
bubblewrap's --die-with-parent ties the sandbox to us: when we die, by whatever signal, the kernel
ends every process in it.

Limits: a time-out for the whole job; RLIMIT_FSIZE per file; a bound on the number of tasks
(RLIMIT_NPROC, which the kernel does not apply to root, and a watchdog, which does).
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.sandbox.findings import require
from dolmen.sandbox.identities import entered
from dolmen.sandbox.kernel import FIX_DEVICES, KERNEL_FILES
from dolmen.sandbox.seccomp import builder_filter
from dolmen.sandbox.tasks import POLL_SECONDS, TaskBound
from dolmen.support.errors import HostError
from dolmen.support.files import remove_tree
from dolmen.support.run import spawn

#: The largest file a script may write, in bytes; configuring TeX or a database stays far below.
MAX_FILE_SIZE = 4 << 30
#: How many tasks (processes and threads) a job may have at once.
MAX_TASKS = 1024
#: Longest line handed on, and most bytes of output in one job; the rest is dropped.
_MAX_LINE, _MAX_OUTPUT = 64 << 10, 64 << 20
_MAX_TMPFS = 2 << 30

#: Root inside keeps what file modes and process groups need, and nothing that configures kernels.
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

# Runs as root of the new user namespace, in the job's scratch directory. Names are relative there:
# an overlay's option string has no room for commas and colons of paths, and a symbolic link as
# lowerdir needs no escape. No further user namespaces: they would give a script all capabilities.
_SETUP = f"""\
unset PWD
umask 022
ulimit -c 0; ulimit -Sn 1024; ulimit -f "$1"; command ulimit -p "$2" 2>/dev/null
shift 2
mount -t overlay overlay -o userxattr,volatile,lowerdir=lower,upperdir=upper,workdir=work merged &&
echo 0 >/proc/sys/user/max_user_namespaces &&
{FIX_DEVICES} &&
exec bwrap "$@" 9<filter
"""


@dataclass(frozen=True, slots=True)
class BuildJob:
    """One command in a tree that it may change, without the tree below being changed.

    `lower` is the checkout, `scratch` a directory on a file system with user xattrs where `upper`
    appears (an `upper` left there by an earlier job is built upon). `files` is bound read-only at
    /run/dolmen. `timeout` counts seconds. `writable` pairs host directories with where they are
    bound for writing. `max_tasks` bounds processes and threads. `true_owners`: the inside has users
    and groups of its own (`identities`), and what it says of owners is done.
    """

    lower: Path
    scratch: Path
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    timeout: float
    files: Path | None = None
    hostname: str = "dolmen"
    writable: tuple[tuple[Path, str], ...] = field(default=())
    max_tasks: int = MAX_TASKS
    true_owners: bool = False


@dataclass(frozen=True, slots=True)
class BuildResult:
    """How a job ended: its exit code (128+n for signal n), and the overlay's upper directory.

    All processes of the job are gone. `stopped` says why we ended it: "timeout", "too-many-tasks",
    or "" when it ended by itself.
    """

    returncode: int
    upper: Path
    timed_out: bool
    stopped: str = ""


def build(job: BuildJob, *, on_line: Callable[[str], None]) -> BuildResult:
    """Run a job to its end; every line it writes (output and errors together) goes to `on_line`.

    Raises HostError when the sandbox could not be set up, with the reason that `probe` finds, or
    "sandbox-failed" and the output as details. A failing job is no error here.
    """
    _prepare(job)
    lines: list[str] = []

    def keep(line: str) -> None:
        if len(lines) < 20:
            lines.append(line)
        on_line(line)

    with (
        _pipe() as (status_read, status_write),
        _started(job, status_write) as child,
    ):
        os.close(status_write)
        status = _Status(status_read)
        stopped = ""
        try:
            stopped = _watch(job, child, status, keep)
        finally:
            _end(child, status)
        status.read()
        code = status.exit_code
    if code is None and not stopped:
        require(job.scratch)
        raise HostError(
            "the build sandbox could not be set up",
            reason="sandbox-failed",
            context=str(job.lower),
            details=lines,
            hint="dolmen doctor",
        )
    return BuildResult(
        returncode=128 + signal.SIGKILL if code is None else code,
        upper=job.scratch / "upper",
        timed_out=stopped == "timeout",
        stopped=stopped,
    )


@contextmanager
def _started(job: BuildJob, status_fd: int) -> Iterator[subprocess.Popen[bytes]]:
    argv = ["unshare", "--mount", "--propagation", "private", "--", *_argv(job, status_fd)]
    if job.true_owners:
        with entered(
            argv, cwd=job.scratch, stderr=subprocess.STDOUT, pass_fds=(status_fd,)
        ) as child:
            assert child.stdin is not None
            child.stdin.close()
            yield child
        return
    argv[1:1] = ["--user", "--map-root-user"]
    with spawn(
        argv,
        cwd=job.scratch,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(status_fd,),
    ) as child:
        yield child


def _prepare(job: BuildJob) -> None:
    """Make upper (its mode is the mode of / inside), fresh work and merged, lower and filter."""
    job.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A volatile mount leaves a mark in work that forbids the next one (overlayfs.rst).
    remove_tree(job.scratch / "work")
    for name in ("upper", "work", "merged"):
        directory = job.scratch / name
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)
    link = job.scratch / "lower"
    link.unlink(missing_ok=True)
    link.symlink_to(job.lower.absolute())
    (job.scratch / "filter").write_bytes(builder_filter(true_owners=job.true_owners))


def _argv(job: BuildJob, status_fd: int) -> list[str]:
    bwrap = [
        *("--die-with-parent", "--new-session", "--json-status-fd", str(status_fd)),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"),
        *("--unshare-cgroup-try", "--hostname", job.hostname, "--seccomp", "9"),
        *("--bind", "merged", "/", *KERNEL_FILES),
        *("--perms", "1777", "--size", str(_MAX_TMPFS), "--tmpfs", "/tmp"),
        *("--perms", "0755", "--size", str(_MAX_TMPFS), "--tmpfs", "/run"),
        *("--perms", "1777", "--dir", "/run/lock"),
    ]
    if job.files is not None:
        bwrap += ["--ro-bind", str(job.files.absolute()), "/run/dolmen"]
    for source, target in job.writable:
        bwrap += ["--bind", str(source.absolute()), target]
    bwrap += ["--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        bwrap += ["--cap-add", capability]
    bwrap += ["--chdir", "/", "--clearenv"]
    for name, value in sorted(job.environment.items()):
        bwrap += ["--setenv", name, value]
    limits = (str(MAX_FILE_SIZE // 512), str(job.max_tasks))
    return ["sh", "-c", _SETUP, "sh", *limits, *bwrap, "--", *job.argv]


class _Status:
    """bubblewrap's JSON status: the pid of the namespace's first process, and the exit code.

    The code is written only when the command was really started, never by the command itself.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._text = b""
        self.init: int | None = None
        self.exit_code: int | None = None

    def read(self) -> None:
        with suppress(BlockingIOError):
            while chunk := os.read(self._fd, 4096):
                self._text += chunk
        *complete, self._text = self._text.split(b"\n")
        for line in complete:
            report = json.loads(line)
            self.init = report.get("child-pid", self.init)
            self.exit_code = report.get("exit-code", self.exit_code)


def _watch(
    job: BuildJob, child: subprocess.Popen[bytes], status: _Status, on_line: Callable[[str], None]
) -> str:
    """Hand on lines until the job ends (returns "") or must be ended (returns why)."""
    assert child.stdout is not None
    deadline = time.monotonic() + job.timeout
    tasks = TaskBound(job.max_tasks)
    cutter = _Lines(on_line)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            if selector.select(min(left, POLL_SECONDS)):
                chunk = os.read(child.stdout.fileno(), 65536)
                if not chunk:
                    break
                cutter.feed(chunk)
            elif child.poll() is not None:
                break
            status.read()
            if tasks.exceeded(status.init):
                return "too-many-tasks"
    cutter.close()
    # A job may close its output and go on working.
    while child.poll() is None:
        if time.monotonic() >= deadline:
            return "timeout"
        status.read()
        if tasks.exceeded(status.init):
            return "too-many-tasks"
        with suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECONDS)
    return ""


def _end(child: subprocess.Popen[bytes], status: _Status) -> None:
    """Make sure that nothing of the job lives: the upper directory is read after this.

    The namespace's first process is killed, not bubblewrap: the kernel ends all others before
    bubblewrap can reap it, so bubblewrap's end is theirs too (pid_namespaces(7)).
    """
    if child.poll() is not None:
        return
    status.read()
    if status.init is None:
        return  # not started yet; spawn() kills the process group
    with suppress(ProcessLookupError):
        os.kill(status.init, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.wait(60)


class _Lines:
    """Bytes to lines, bounded in length and amount; undecodable bytes are escaped."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self._left = _MAX_OUTPUT

    def feed(self, chunk: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(chunk)
        *complete, self._rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            self._emit(line)
        while len(self._rest) > _MAX_LINE:
            self._emit(self._rest[:_MAX_LINE])
            self._rest = self._rest[_MAX_LINE:]
        if self._left <= 0:
            self._on_line("[further output dropped]")

    def close(self) -> None:
        if self._rest:
            self._emit(self._rest)
            self._rest = b""

    def _emit(self, line: bytes) -> None:
        self._on_line(line.decode("utf-8", "backslashreplace"))


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe; the caller may close the write end itself.

    Its number is far from those that _SETUP and the shell use themselves.
    """
    read, low = os.pipe()
    write = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(low)
    try:
        yield read, write
    finally:
        os.close(read)
        with suppress(OSError):
            os.close(write)
