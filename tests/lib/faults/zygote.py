"""A process that has everything imported, and forks one child for each command.

Commands that begin at once, and whose system calls are their own and not those of Python's start:
that makes faults at every call affordable, and meaningful. The child waits for a word before it
begins, so that a tracer can be attached.

    python3 -m tests.lib.faults.zygote      (the server; `Zygote` below speaks with it)
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dolmen.support.files import remove_tree

ROOT = Path(__file__).resolve().parents[3]
_PR_SET_PTRACER = 0x59616D61
_GRACE = 5.0
#: What commands import while they run; a fault in there would be one of Python's.
_LATER = (
    *("array", "concurrent.futures.process", "concurrent.futures.thread", "ctypes", "difflib"),
    *("encodings.idna", "fnmatch", "getpass", "gzip", "json", "lzma", "multiprocessing.context"),
    *("multiprocessing.popen_fork", "multiprocessing.synchronize", "multiprocessing.queues"),
    *("bz2", "pwd", "grp", "queue", "random", "shlex", "shutil", "socket", "tarfile", "tempfile"),
    *("textwrap", "tomlkit", "tomllib", "zlib", "rich.progress", "rich.console", "rich.live"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended (negative: the signal), what it wrote, and whether it left processes."""

    code: int
    out: str
    err: str
    left: bool = False


class Zygote:
    """The server, as its client sees it; use it as a context manager."""

    def __init__(self) -> None:
        #: For what is written about commands: not where they work, as that may be full.
        self.scratch = Path(tempfile.mkdtemp(prefix="dolmen-zygote-"))
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.lib.faults.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "HOME": "/nonexistent",
                "TZ": "UTC",
                "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            },
        )
        self._told()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._server.stdin.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(10)
        assert self._server.stdout is not None
        self._server.stdout.close()
        remove_tree(self.scratch)

    @contextlib.contextmanager
    def child(
        self,
        target: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        deaf: bool = False,
    ) -> Iterator[Child]:
        """A child that waits to begin `target` ("module:function") with these arguments.

        `deaf`: nobody reads its standard output, as behind `| head`.
        """
        written = [self.scratch / name for name in ("out", "err")]
        wish = {
            "target": target,
            "arguments": list(arguments),
            "cwd": str(cwd),
            "env": dict(env),
            "written": [str(path) for path in written],
            "deaf": deaf,
        }
        child = Child(self, self._ask(wish)["pid"], written)
        try:
            yield child
        finally:
            child.end()

    def _ask(self, wish: Mapping[str, object]) -> Any:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(wish).encode() + b"\n")
        self._server.stdin.flush()
        return self._told()

    def _told(self) -> Any:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError("the zygote has ended")
        return json.loads(line)


@dataclass(slots=True)
class Child:
    """One command; it leads a process group of its own."""

    _zygote: Zygote
    pid: int
    _written: list[Path]
    _ended: Ended | None = None

    def go(self) -> None:
        """Let it begin."""
        self._zygote._ask({"go": True})

    def wait(self, timeout: float) -> Ended:
        """How it ended; it is killed after so many seconds, and the test with it."""
        answer = self._zygote._ask({"wait": timeout})
        left = not _is_over(self.pid)
        self.kill_group()
        out, err = (path.read_text(errors="replace") for path in self._written)
        for path in self._written:
            path.unlink()
        self._ended = Ended(answer["code"], out, err, left)
        assert not answer["late"], f"still running after {timeout} s: {out}{err}"
        return self._ended

    def kill_group(self) -> None:
        """What it may have left behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Make sure that it has ended."""
        if self._ended is None:
            self.kill_group()
            self.wait(10)


def _is_over(group: int) -> bool:
    """Whether a process group is empty, or is so in a moment: helpers see that they are alone."""
    end = time.monotonic() + _GRACE
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def _load() -> None:
    import dolmen

    sys.path.insert(0, str(ROOT))
    for name in _LATER:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(dolmen.__path__, "dolmen."):
        if not module.name.startswith(("dolmen.data", "dolmen.__main__")):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)
    importlib.import_module("tests.lib.faults.commands")
    from gi.repository import Gio, OSTree

    OSTree.Repo.new(Gio.File.new_for_path("/nonexistent"))  # loads the library itself
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked safely"


def _serve(requests: IO[str], answers: IO[str]) -> None:
    def say(**answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    say(ready=True)
    pid = start = -1
    for line in requests:
        wish = json.loads(line)
        if "target" in wish:
            waiting, start = os.pipe()
            there, ready = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(start)
                os.close(there)
                _child(wish, waiting, ready)
            os.close(waiting)
            os.close(ready)
            os.read(there, 1)  # from here on its system calls are the command's
            os.close(there)
            say(pid=pid)
        elif "go" in wish:
            os.write(start, b"g")
            say(gone=True)
        else:
            if start >= 0:
                os.close(start)
            start = -1
            say(**_wait(pid, wish["wait"]))


def _wait(pid: int, timeout: float) -> dict[str, object]:
    end = time.monotonic() + timeout
    late, pause = False, 0.0005
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return {"code": os.waitstatus_to_exitcode(status), "late": late}
        if time.monotonic() > end and not late:
            late = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.01)


def _child(wish: dict[str, Any], waiting: int, ready: int) -> None:
    code = 70
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1, 0, 0, 0)
        os.setsid()
        os.environ.clear()
        os.environ.update(wish["env"])
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        for number, path in enumerate(wish["written"], 1):
            fd = os.open(path, flags, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        if wish["deaf"]:
            unread, fd = os.pipe()
            os.dup2(fd, 1)
            os.close(unread)
            os.close(fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(wish["cwd"])
        module, _, name = wish["target"].partition(":")
        function = getattr(importlib.import_module(module), name)
        os.close(ready)
        os.read(waiting, 1)
        os.close(waiting)
        try:
            code = function(wish["arguments"])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except KeyboardInterrupt:
            code = 130
    except BaseException:
        import traceback

        code = 70
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    # Standard output is ours alone: what is imported may print.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _load()
    _serve(sys.stdin, answers)
