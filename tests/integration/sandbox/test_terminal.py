"""What a person at a terminal sees: Ctrl-C, Ctrl-Z, prompts, and injection refused."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.integration.sandbox.conftest import Party

_SECONDS = 20


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, fd: int, pid: int) -> None:
        self.fd, self.pid, self.text = fd, pid, ""

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, pattern: str) -> str:
        """Wait for a match in what is new, return all of that and forget it."""
        deadline = time.monotonic() + _SECONDS
        while not (match := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.fd], [], [], left)[0]
            assert ready, f"no {pattern!r} in {self.text!r}"
            try:
                chunk = os.read(self.fd, 4096)
            except OSError:
                chunk = b""
            assert chunk, f"ended without {pattern!r}: {self.text!r}"
            self.text += chunk.decode(errors="replace")
        seen, self.text = self.text[: match.end()], self.text[match.end() :]
        return seen

    def end(self) -> int:
        """The exit code as sh has it, after draining."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                with suppress(OSError):
                    self.text += os.read(self.fd, 4096).decode(errors="replace")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        raise AssertionError(f"still running: {self.text!r}")


@contextmanager
def terminal(party: Party, *argv: str, env: dict[str, str] | None = None) -> Iterator[Terminal]:
    command = party.argv(list(argv), {"TERM": "dumb", **(env or {})})
    if party.user is not None:  # runuser makes a session of its own
        at = command.index("env")
        ids = ["--reuid", str(party.user.uid), "--regid", str(party.user.gid), "--clear-groups"]
        command = ["setpriv", *ids, *command[at:]]
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(party.home)
        os.execvp(command[0], command)
    console = Terminal(fd, pid)
    try:
        yield console
    finally:
        os.close(fd)
        if console.pid:
            for kill in (os.kill, os.killpg):
                with suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


both = pytest.mark.parametrize("options", [[], ["--pure"]], ids=["development", "pure"])


@both
def test_ctrl_c_is_the_commands_to_handle(party: Party, options: list[str]) -> None:
    script = (
        "n=; trap 'echo handled; n=1' INT; echo ready; while [ -z $n ]; do sleep 0.05; done; exit 5"
    )
    with terminal(party, str(party.launcher), *options, "--", "sh", "-c", script) as console:
        console.expect("ready")
        console.send("\x03")
        console.expect("handled")
        assert console.end() == 5


@both
def test_ctrl_c_ends_what_does_not_handle_it(party: Party, options: list[str]) -> None:
    # Not sh: dash may miss a signal that comes just before it starts a command.
    script = "$| = 1; print qq(ready\\n); sleep 60"
    with terminal(party, str(party.launcher), *options, "--", "perl", "-e", script) as console:
        console.expect("ready")
        console.send("\x03")
        assert console.end() == 128 + signal.SIGINT


@both
def test_an_interactive_shell(party: Party, options: list[str]) -> None:
    with terminal(party, str(party.launcher), *options, env={"SHELL": "/bin/bash"}) as console:
        console.expect(r"\$ |# ")
        assert "no job control" not in console.text
        console.send("echo $((40+2)) $DOLMEN_ENVIRONMENT $debian_chroot; cat /etc/canary\r")
        console.expect("42 demo demo")
        console.expect("image")
        console.send("sleep 77\r")
        time.sleep(0.5)
        console.send("\x1a")
        console.expect("Stopped")
        console.send("jobs; kill %1; fg; echo over\r")
        console.expect("over")
        console.send("sleep 78\r")
        time.sleep(0.3)
        console.send("\x03")
        console.send("echo still here\r")
        console.expect("\nstill here")
        console.send("exit 9\r")
        assert console.end() == 9


@both
def test_the_outer_shell_keeps_its_terminal(party: Party, options: list[str]) -> None:
    """After a shell inside ends, the shell outside, with job control or without, goes on."""
    inner = " ".join([shlex.quote(str(party.launcher)), *options])
    for outer in (["bash", "--norc", "-i"], ["sh"]):
        with terminal(party, *outer, env={"PS1": "outer> "}) as console:
            console.expect("outer> ")
            console.send(f"{inner}\r")
            console.expect(r"[$#>] ")
            console.send("echo in$((1+1))side; exit 3\r")
            console.expect("in2side")
            console.send("echo code $?\r")
            console.expect("code 3")
            console.send("exit 4\r")
            assert console.end() == 4


def test_stopping_and_going_on(party: Party) -> None:
    script = party.home / "project/counts"
    script.write_text(
        'echo ready; for n in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done; echo fin""ished\n'
    )
    with terminal(party, "bash", "--norc", "-i", env={"PS1": "outer> "}) as console:
        console.expect("outer> ")
        console.send(f"{shlex.quote(str(party.launcher))} -- sh project/counts\r")
        console.expect("ready")
        console.send("\x1a")
        console.expect("Stopped")
        console.send("echo meanwhile $((1+1))\r")
        console.expect("meanwhile 2")
        console.send("fg\r")
        console.expect("finished")
        console.send("exit 6\r")
        assert console.end() == 6


def test_the_terminal_is_the_hosts(party: Party) -> None:
    with terminal(party, str(party.launcher), "--", "sh", "-c", "tty; stty -a") as console:
        expected = r"/dev/(pts/\d+|console)\s" if party.user is None else r"/dev/pts/\d+\s"
        console.expect(expected)
        console.expect("icanon")
        assert console.end() == 0


_INJECT = r"""perl -e 'my $c = "x"; print ioctl(STDIN, REQUEST, $c) ? "done\n" : "$!\n"'"""


@both
@pytest.mark.parametrize("request_", ["0x5412", "0x541C"])
def test_x1_x3_no_characters_are_pushed(party: Party, options: list[str], request_: str) -> None:
    push = _INJECT.replace("REQUEST", request_)
    legacy = Path("/proc/sys/dev/tty/legacy_tiocsti")
    if request_ == "0x5412" and (not legacy.exists() or legacy.read_text().strip() == "1"):
        with terminal(party, "sh", "-c", push) as console:
            console.expect("done")
    with terminal(party, str(party.launcher), *options, "--", "sh", "-c", push) as console:
        console.expect("Operation not permitted")


def test_x2_the_high_half_is_ignored(party: Party) -> None:
    from dolmen.sandbox.syscalls import MACHINES, TABLES

    number = TABLES[MACHINES[os.uname().machine][0].table]["ioctl"]
    script = f"print syscall({number}, 0, (0x123 << 32) | 0x5412, my $c = q(x)) == -1 ? $! + 0 : 0"
    with terminal(party, str(party.launcher), "--", "perl", "-e", script) as console:
        console.expect("^1")
