"""The `dolmen` command as a user types it: the sh front, from a copy of the checkout's `src/`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from dolmen.support.run import Completed, run, spawn
from tests.lib.users import OrdinaryUser


@dataclass(frozen=True, slots=True)
class Dolmen:
    """Runs `dolmen` in `directory` with the store `store` (None: the user's default store)."""

    source: Path
    directory: Path
    store: Path | None
    user: OrdinaryUser | None = None

    @property
    def front(self) -> Path:
        """The sh front that is installed as `dolmen`."""
        return self.source / "dolmen/data/front.sh"

    def as_user(self, user: OrdinaryUser) -> Dolmen:
        """The same command typed by an ordinary user: own directory, own default store."""
        return replace(self, directory=user.directory(), store=None, user=user)

    def argv(self, *arguments: str | os.PathLike[str]) -> list[str]:
        """The whole command line, `runuser` included."""
        argv = [str(self.front), *(os.fspath(argument) for argument in arguments)]
        if self.user is None:
            return argv
        return self.user.argv(argv, self.variables())

    def variables(self) -> dict[str, str]:
        """What the command finds in its environment."""
        variables = {"NO_COLOR": "1", "TERM": "dumb"}
        if self.store is not None:
            variables["DOLMEN_STORE"] = str(self.store)
        return variables

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """A small environment like a login shell's."""
        home = self.directory.parent / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            **self.variables(),
            **(env or {}),
        }

    def __call__(
        self,
        *arguments: str | os.PathLike[str],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: bytes | None = None,
        timeout: float = 300,
    ) -> Completed:
        """Run it to its end; the caller judges `returncode`."""
        return run(
            self.argv(*arguments),
            cwd=cwd or self.directory,
            env=self.environment(env) if self.user is None else None,
            input=input,
            timeout=timeout,
        )

    def ok(self, *arguments: str | os.PathLike[str], timeout: float = 300, **kwargs: Any) -> str:
        """Run it, insist on success and return its standard output."""
        done = self(*arguments, timeout=timeout, **kwargs)
        assert done.ok, f"{done.argv}: {done.returncode}\n{done.stdout!r}\n{done.stderr.decode()}"
        return done.stdout.decode()

    def json(self, *arguments: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Run it with `--json` and return the value it printed last."""
        return json.loads(self.ok(*arguments, "--json", **kwargs).strip().splitlines()[-1])

    @contextmanager
    def started(
        self, *arguments: str | os.PathLike[str], cwd: Path | None = None
    ) -> Iterator[Popen[bytes]]:
        """Start it and leave it running; its process group ends with the block."""
        with spawn(
            self.argv(*arguments),
            cwd=cwd or self.directory,
            env=self.environment() if self.user is None else None,
            stdout=PIPE,
            stderr=PIPE,
        ) as child:
            yield child
