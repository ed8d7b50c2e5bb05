"""What commands work on: a directory with all of it, saved once and brought back for every attempt.

A world knows what is whole in it and what a person sees of it (`state`), and how to collect, after
which nothing may be left that the same commands without a fault would not leave.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

from dolmen.support.files import remove_tree
from dolmen.support.run import CLEAN_ENVIRONMENT
from tests.lib.faults.commands import POOL
from tests.lib.faults.tracing import Call, Fault, read_calls, run_traced
from tests.lib.faults.zygote import Child, Ended, Zygote

#: What a person sees, by name; each value changes as a whole.
State = Mapping[str, str]
TARGET = "tests.lib.faults.commands:dolmen"
_TIMEOUT = 60.0


@contextlib.contextmanager
def memory_directory() -> Iterator[Path]:
    """A directory in memory, if that has user attributes here: else on the disk."""
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    try:
        try:
            os.setxattr(directory, "user.dolmen", b"1")
        except OSError:
            remove_tree(directory)
            directory = Path(tempfile.mkdtemp())
        yield directory
    finally:
        remove_tree(directory)


class World(ABC):
    """A world in `base`/live; commands are typed in its directory `here`."""

    def __init__(self, zygote: Zygote, base: Path) -> None:
        self.zygote = zygote
        self.base = base
        self.live = base / "live"
        self.saved = base / "saved"
        self.here = self.live / "here"
        for directory in (self.live, self.here, self.live / "home"):
            directory.mkdir()

    # Time travel

    def save(self) -> None:
        """Remember this moment."""
        remove_tree(self.saved)
        self._copy(self.live, self.saved)

    def reset(self) -> None:
        """Go back to it."""
        for path in self.live.iterdir():
            remove_tree(path)
        self._copy(self.saved, self.live)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        # Objects and trees share inodes, as they do in life.
        subprocess.run(["cp", "-aT", source, target], check=True, timeout=60)

    # Commands

    def environment(self) -> dict[str, str]:
        """The variables of a command."""
        return {
            **CLEAN_ENVIRONMENT,
            "HOME": str(self.live / "home"),
            "NO_COLOR": "1",
            "TERM": "dumb",
            "SOURCE_DATE_EPOCH": "1000000000",
            "DOLMEN_STORE": str(self.live / "store"),
            POOL: str(self.live / "pool"),
        }

    def run(self, *arguments: str, deaf: bool = False) -> Ended:
        """Run a command to its end, without a fault; `deaf`: its output goes nowhere."""
        with self._child(arguments, deaf) as child:
            child.go()
            return child.wait(_TIMEOUT)

    def ok(self, *arguments: str) -> str:
        """The same, and it must succeed."""
        ended = self.run(*arguments)
        assert ended.code == 0, (arguments, ended)
        return ended.out

    def traced(
        self, *arguments: str, names: tuple[str, ...], fault: Fault | None = None
    ) -> tuple[Ended, list[Call]]:
        """Run it under strace, with a fault or only to record its calls."""
        log = self.zygote.scratch / "log"
        with self._child(arguments) as child:
            ended = run_traced(child, log, names=names, fault=fault, timeout=_TIMEOUT)
        calls = read_calls(log)
        log.unlink()
        return ended, calls

    def _child(
        self, arguments: tuple[str, ...], deaf: bool = False
    ) -> contextlib.AbstractContextManager[Child]:
        env = self.environment()
        return self.zygote.child(TARGET, arguments, cwd=self.here, env=env, deaf=deaf)

    # What is there

    @abstractmethod
    def state(self) -> State:
        """Assert that everything is whole, and say what a person sees."""

    @abstractmethod
    def collect(self) -> None:
        """Remove what nobody needs, as a person would."""

    def listing(self) -> list[str]:
        """Every path but those of the tests, with what a file's name alone does not say."""
        found = []
        for directory, names, files in os.walk(self.live):
            for name in (*names, *files):
                path = os.path.relpath(os.path.join(directory, name), self.live)
                if not path.startswith(("pool", "home")):
                    found.append(path)
        return sorted(found)
