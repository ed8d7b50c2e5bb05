"""On a terminal: the user's shell, Ctrl-C, the window's size, exit codes."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lib.command import Dolmen

pytestmark = pytest.mark.network


@dataclass
class Terminal:
    """A command on a terminal of its own."""

    pid: int
    master: int
    seen: bytes = b""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str, timeout: float = 60) -> None:
        """Read until `text` has appeared since the last call."""
        deadline = time.monotonic() + timeout
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            assert ready, f"waited for {text!r}, saw {self.seen!r}"
            try:
                self.seen += os.read(self.master, 4096)
            except OSError:
                raise AssertionError(f"ended before {text!r}: {self.seen!r}") from None
        self.seen = self.seen.split(text.encode(), 1)[1]

    def end(self, timeout: float = 60, *, typing: str = "") -> int:
        """Wait for the end, reading on; the exit code as a shell would see it.

        `typing` is typed every second: dash loses a Ctrl-C that comes just before it forks.
        """
        deadline = time.monotonic() + timeout
        typed = 0.0
        while time.monotonic() < deadline:
            if typing and time.monotonic() > typed + 1:
                self.type(typing)
                typed = time.monotonic()
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 4096)
                except OSError:
                    continue
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"did not end; saw {self.seen!r}")


@contextmanager
def on_terminal(dolmen: Dolmen, *arguments: str) -> Iterator[Terminal]:
    env = {**dolmen.environment(), "TERM": "xterm", "SHELL": "/bin/bash"}
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(dolmen.directory)
        os.execve(dolmen.front, dolmen.argv(*arguments), env)
    terminal = Terminal(pid, master)
    try:
        yield terminal
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(master)


@pytest.fixture(scope="module")
def project(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    directory = tmp_path_factory.mktemp("terminal") / "project"
    directory.mkdir()
    dolmen = Dolmen(installed_source, directory, session_store)
    dolmen.ok("install", "--dir", directory, "--suite", "bookworm", "jq")
    return dolmen


@pytest.mark.parametrize("way", [(), ("--locked",)])
def test_a_shell(project: Dolmen, way: tuple[str, ...]) -> None:
    """The same with the front alone and by way of Python."""
    with on_terminal(project, "shell", *way) as terminal:
        terminal.type("echo in:$DOLMEN_ENVIRONMENT $((20+1)) $(jq -n 40+1)\n")
        terminal.wait_for("in:project 21 41")
        terminal.type("sleep 100\n")
        time.sleep(0.5)
        terminal.type("\x03")
        terminal.type("echo code:$? $((2+3))\n")
        terminal.wait_for("code:130 5")
        terminal.type("exit 7\n")
        assert terminal.end() == 7


@pytest.mark.parametrize("way", [(), ("--locked",)])
def test_control_c_ends_a_command(project: Dolmen, way: tuple[str, ...]) -> None:
    with on_terminal(project, "run", *way, "--", "sh", "-c", "echo ready; sleep 100") as terminal:
        terminal.wait_for("ready")
        assert terminal.end(typing="\x03") == 130


def test_progress_on_a_terminal(project: Dolmen) -> None:
    """Lines stay, bars go, and the terminal is left as it was."""
    with on_terminal(project, "install", "--refresh", "hello") as terminal:
        terminal.wait_for("Resolved ")
        terminal.wait_for("+ ")
        terminal.wait_for("Generation ")
        assert terminal.end() == 0
    project.ok("remove", "hello")
