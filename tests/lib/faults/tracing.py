"""Faults at system calls, by strace(1): which calls a command makes, and the Nth of them failing.

strace counts calls by process and by name. A recorded run gives the order of all of them, so that
"from here on every call that needs room fails" can be said exactly: of each name the number that
it had come to by then.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lib.faults.zygote import Child, Ended

STRACE = shutil.which("strace")
#: What changes a file system, hence the places between which a kill makes a difference.
CHANGING = (
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "openat", "write", "pwrite64"),
    *("copy_file_range", "sendfile", "ftruncate", "fallocate", "chmod", "fchmod", "fchmodat"),
    *("utimensat", "setxattr", "fsetxattr", "lsetxattr", "fsync", "fdatasync", "syncfs"),
)
#: What needs room on the disk.
GROWING = (
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir"),
    *("mkdirat", "openat", "write", "pwrite64", "copy_file_range", "sendfile", "fallocate"),
    *("setxattr", "fsetxattr", "lsetxattr", "fsync", "fdatasync"),
)
#: What speaks with the disk.
TALKING = (*CHANGING, "read", "pread64", "getdents64")
#: What takes a descriptor.
OPENING = ("openat", "pipe2", "dup", "socket", "memfd_create")
#: What a file system that is read-only refuses.
WRITING = tuple(name for name in CHANGING if name not in ("fsync", "fdatasync", "syncfs", "write"))

_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_CREATES = re.compile(r"O_CREAT|O_TRUNC|O_TMPFILE")
_SYSTEM = re.compile(r'(?:AT_FDCWD<[^>]*>, "|\d+<)/(?:proc|sys|usr|lib|etc)/')
_OWN = re.compile(r"[012]<|.*<(?:pipe|socket|anon_inode|/dev/pts|/dev/null)")


@dataclass(frozen=True, slots=True)
class Call:
    """The `number`th call of this name by its process; `text`: its arguments; `own`: it is the
    command itself that makes it, and no thread or child of it."""

    name: str
    number: int
    text: str
    own: bool

    @property
    def creates(self) -> bool:
        """Whether it makes or empties a file (others of that name only look)."""
        return self.name != "openat" or _CREATES.search(self.text) is not None

    @property
    def is_ours(self) -> bool:
        """Whether it is about files, and not about what the command is connected to."""
        if _SYSTEM.match(self.text):
            return False
        return self.name not in ("read", "write", "sendfile") or _OWN.match(self.text) is None


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls a command: `name` for people, `injections` for strace."""

    name: str
    injections: tuple[str, ...]


def kill(call: Call) -> Fault:
    """SIGKILL just before this call."""
    return _at(call, "signal=SIGKILL", "killed")


def once(call: Call, error: str) -> Fault:
    """This call fails, the next goes well."""
    return _at(call, f"error={error}", error)


def signalled(call: Call, signal: str) -> Fault:
    """A signal that can be caught comes at this call, which is carried out."""
    return _at(call, f"signal={signal}", signal)


def onward(calls: Sequence[Call], position: int, names: Sequence[str], error: str) -> Fault:
    """From this position of a recorded run on, every call of these names fails."""
    counts = dict.fromkeys(names, 1)
    for call in calls[:position]:
        if call.name in counts:
            counts[call.name] = max(counts[call.name], call.number + 1)
    words = tuple(f"{name}:error={error}:when={n}+" for name, n in counts.items())
    call = calls[position]
    return Fault(f"{error} from {call.name} {call.number} on", words)


def _at(call: Call, what: str, shown: str) -> Fault:
    return Fault(
        f"{shown} at {call.name} {call.number}", (f"{call.name}:{what}:when={call.number}",)
    )


def run_traced(
    child: Child, log: Path, *, names: Sequence[str], fault: Fault | None = None, timeout: float
) -> Ended:
    """Let a waiting child go under strace; with a fault, or (without) only to be recorded."""
    with _attached(child, log, names, fault):
        child.go()
        return child.wait(timeout)


@contextlib.contextmanager
def _attached(child: Child, log: Path, names: Sequence[str], fault: Fault | None) -> Iterator[None]:
    assert STRACE is not None
    argv = [STRACE, "-f", "-y", "-s", "0", "-p", str(child.pid), "-o", str(log)]
    argv += ["-e", f"trace={','.join(names)}", "-e", "signal=none"]
    for injection in fault.injections if fault is not None else ():
        argv += ["-e", f"inject={injection}"]
    tracer = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert tracer.stderr is not None
    try:
        said = tracer.stderr.readline()
        assert b"attached" in said, said
        yield
    finally:
        # It ends with the last process that it follows.
        try:
            tracer.wait(10)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.wait(10)
        tracer.stderr.close()


def read_calls(log: Path) -> list[Call]:
    """The calls of a recorded run, in their order."""
    counts: dict[tuple[str, str], int] = {}
    found: list[Call] = []
    first = ""
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        pid, name, text = match.groups()
        first = first or pid
        counts[pid, name] = counts.get((pid, name), 0) + 1
        found.append(Call(name, counts[pid, name], text, pid == first))
    return found
