"""An ordinary account for the time of a test session."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.support.files import remove_tree
from dolmen.support.run import Completed, run


@dataclass(frozen=True, slots=True)
class OrdinaryUser:
    """A system account (so `useradd` gives it no subordinate ids) with a home of its own."""

    name: str
    uid: int
    gid: int
    home: Path

    def argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The command line by which root runs `argv` as this user, in a clean environment."""
        variables = {
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        }
        assignments = [f"{key}={value}" for key, value in variables.items()]
        return ["runuser", "-u", self.name, "--", "env", "-i", *assignments, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,
    ) -> Completed:
        """Run a program as this user, by default in its home."""
        return run(self.argv(argv, env), timeout=timeout, cwd=cwd or self.home)

    def directory(self) -> Path:
        """A new directory that belongs to this user."""
        path = Path(tempfile.mkdtemp(dir=self.home))
        os.chown(path, self.uid, self.gid)
        return path


def create_user() -> OrdinaryUser:
    """Make an account with a name nobody has; its home lies in a temporary directory."""
    base = Path(tempfile.mkdtemp(prefix="dolmen-user-"))
    base.chmod(0o755)
    home = base / "home"
    home.mkdir(mode=0o755)
    name = f"dolmen-test-{secrets.token_hex(4)}"
    argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(home)]
    done = run([*argv, "--shell", "/bin/bash", name], timeout=60)
    assert done.ok, done.stderr.decode()
    found = run(["getent", "passwd", name], timeout=10).stdout.decode().split(":")
    user = OrdinaryUser(name, int(found[2]), int(found[3]), home)
    os.chown(home, user.uid, user.gid)
    return user


def delete_user(user: OrdinaryUser) -> None:
    """Remove the account and everything in its home."""
    run(["userdel", "--force", user.name], timeout=60)
    remove_tree(user.home.parent)
