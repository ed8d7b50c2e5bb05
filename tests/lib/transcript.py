"""Terminal sessions written down in a document: read, typed into one bash, and compared.

A ```console block holds `$ ` prompts, `> ` continuations and what the commands print, errors too.
`…` stands for anything within a line, alone on a line for any number of lines. A command must
succeed, unless what it prints has a line that begins with "error:".
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.run import spawn

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(rb"\x02(\d+)\x03")


@dataclass(frozen=True, slots=True)
class Step:
    """One command and what the document says that it prints; `line` is where it stands."""

    command: str
    expected: str
    line: int

    @property
    def fails(self) -> bool:
        """Whether the document shows an error."""
        return re.search(r"^error:", self.expected, re.MULTILINE) is not None

    def matches(self, output: str) -> bool:
        """Whether it was printed so; blanks at ends of lines do not count."""
        lines = [line.rstrip() for line in self.expected.splitlines()]
        pattern = "".join(
            r"(?:.*\n)*?"
            if line == "…"
            else ".*".join(map(re.escape, line.split("…"))) + r"[ \t]*\n"
            for line in lines
        )
        text = output if output.endswith("\n") or not output else f"{output}\n"
        return re.fullmatch(pattern, text) is not None


def read_steps(document: Path) -> list[Step]:
    """All steps of a document's console blocks, in their order."""
    text = document.read_text()
    steps: list[Step] = []
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        for number, line in enumerate(block[1].splitlines(), first):
            if line.startswith("$ "):
                steps.append(Step(line[2:], "", number))
            elif steps and line.startswith("> ") and not steps[-1].expected:
                last = steps.pop()
                steps.append(Step(f"{last.command}\n{line[2:]}", "", last.line))
            else:
                last = steps.pop()
                steps.append(Step(last.command, f"{last.expected}{line}\n", last.line))
    return steps


@dataclass(frozen=True, slots=True)
class Typist:
    """An interactive bash that reads from a pipe and writes to one."""

    child: subprocess.Popen[bytes]

    def type(self, command: str, timeout: float) -> tuple[str, int]:
        """Type a command; what it printed, and its status."""
        assert self.child.stdin is not None
        self.child.stdin.write(f"{command}\n".encode())
        self.child.stdin.flush()
        return self.answer(timeout)

    def answer(self, timeout: float) -> tuple[str, int]:
        """Read up to the next prompt."""
        assert self.child.stdout is not None
        seen = b""
        end = time.monotonic() + timeout
        while True:
            prompt = _PROMPT.search(seen)
            if prompt is not None:
                return seen[: prompt.start()].decode(), int(prompt[1])
            ready = select.select([self.child.stdout], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"no prompt in {timeout} s: {seen.decode(errors='replace')}"
            piece = os.read(self.child.stdout.fileno(), 65536)
            assert piece, f"bash ended: {seen.decode(errors='replace')}"
            seen += piece


@contextmanager
def typist(argv: Sequence[str], *, cwd: Path, env: dict[str, str] | None) -> Iterator[Typist]:
    """Start `argv` (a command line that ends in bash's own) and wait for its first prompt."""
    with spawn(
        [*argv, "--norc", "--noprofile", "--noediting", "-i"],
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        it = Typist(child)
        # The prompt shows the status between two characters that no command prints.
        it.type("PS2=''; set +o history; PS1=$'\\002$?\\003'", 30)
        yield it
