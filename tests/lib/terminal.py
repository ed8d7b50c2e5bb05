"""A terminal that a test types into: tmux with one real shell."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.run import run

WIDTH, HEIGHT = 160, 40
_NUMBERS = itertools.count(100)


@dataclass(frozen=True, slots=True)
class Terminal:
    """One tmux server of its own, with one window."""

    socket: Path
    environment: Mapping[str, str]

    def tmux(self, *arguments: str) -> str:
        """Run a tmux command and return what it prints."""
        argv = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *arguments]
        done = run(argv, timeout=20, env=self.environment)
        assert done.ok, done
        return done.stdout.decode(errors="replace")

    def type(self, text: str) -> None:
        """Type a line and Enter."""
        self.keys(text)
        self.tmux("send-keys", "Enter")

    def keys(self, text: str) -> None:
        """Type characters as they are."""
        self.tmux("send-keys", "-l", "--", text)

    def press(self, *names: str) -> None:
        """Press keys by tmux's names, such as C-c and Tab."""
        self.tmux("send-keys", *names)

    def screen(self) -> str:
        """What is on the screen, and the lines that have scrolled off it."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-200")

    def wait_for(self, text: str, timeout: float = 30) -> str:
        """Wait until a text is on the screen; the screen then."""
        end = time.monotonic() + timeout
        while True:
            seen = self.screen()
            if text in seen:
                return seen
            assert time.monotonic() < end, f"waited for {text!r}, saw:\n{seen}"
            time.sleep(0.05)

    def clear(self) -> None:
        """An empty screen and history."""
        self.press("C-l")
        time.sleep(0.1)
        self.tmux("clear-history")

    def ask(self, word: str, timeout: float = 30) -> str:
        """What a word such as `"$PATH"` comes to in the shell.

        Each question has a number, which what is typed does not hold in the answer's form.
        """
        number = next(_NUMBERS)
        self.type(f"printf '<%s:%s:%s>' {number} {word} {number}")
        seen = self.wait_for(f":{number}>", timeout)
        return seen.rpartition(f"<{number}:")[2].partition(f":{number}>")[0].replace("\n", "")


@contextmanager
def terminal(
    argv: Sequence[str], *, directory: Path, cwd: Path, environment: Mapping[str, str]
) -> Iterator[Terminal]:
    """Start a shell on a terminal; it ends with the block. `directory` takes tmux's socket."""
    variables = {"TERM": "xterm-256color", **environment}
    it = Terminal(directory / "tmux", variables)
    it.tmux(
        *("new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), "-c", str(cwd)),
        " ".join(map(shlex.quote, argv)),
    )
    try:
        yield it
    finally:
        run(["tmux", "-S", str(it.socket), "kill-server"], timeout=20, env=variables)
