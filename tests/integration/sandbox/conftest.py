"""Small trees of this host's programs, entered and built in as root and as an ordinary user.

The code under test runs in a child process of the party that is meant: `party.build(…)` and
`party.launch(…)` are the same for both.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dolmen.support.files import remove_tree
from dolmen.support.run import Completed, run
from tests.lib.trees import give, small_tree
from tests.lib.users import OrdinaryUser

PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

_BUILD = """
import json, sys
from pathlib import Path
from dolmen.sandbox import BuildJob, build
from dolmen.support.errors import DolmenError
data = json.loads(sys.argv[1])
for key in ("lower", "scratch", "files"):
    data[key] = Path(data[key]) if data.get(key) else None
data["argv"] = tuple(data["argv"])
data["writable"] = tuple((Path(source), inside) for source, inside in data.get("writable", ()))
lines = []
try:
    result = build(BuildJob(**data), on_line=lines.append)
    out = {"code": result.returncode, "stopped": result.stopped, "timed_out": result.timed_out,
           "upper": str(result.upper), "lines": lines}
except DolmenError as error:
    out = {"reason": error.reason, "lines": lines, "details": error.details}
print(json.dumps(out))
"""

_LAUNCHER = """
import sys
from pathlib import Path
from dolmen.sandbox import host_files, launcher
tree, home, store = map(Path, sys.argv[1:4])
home.mkdir()
(home / "launch").write_text(launcher(tree, name="demo", store=store,
                                      shell_environment={"DECLARED": "it's $HOME"}))
(home / "launch").chmod(0o755)
host_files(home / "host", tree)
(home / "bin").mkdir()
for name in ("sh", "id", "env"):
    (home / "bin" / name).symlink_to("../launch")
"""

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True, slots=True)
class Built:
    """What `build()` came to: its result's fields, or the reason of its error."""

    code: int = -1
    stopped: str = ""
    timed_out: bool = False
    upper: str = ""
    lines: list[str] = field(default_factory=list)
    reason: str = ""
    details: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole output."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class Party:
    """Root or an ordinary user, with a tree, a launcher and a directory of its own."""

    name: str
    user: OrdinaryUser | None
    source: Path
    directory: Path
    tree: Path

    @property
    def uid(self) -> int:
        """The uid on the host."""
        return self.user.uid if self.user else os.geteuid()

    @property
    def home(self) -> Path:
        """The home directory in HOME."""
        return self.directory / "home"

    @property
    def launcher(self) -> Path:
        """The launch script."""
        return self.directory / "demo/launch"

    def argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs `argv` as this party in a clean environment."""
        variables = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", **(env or {})}
        if self.user is not None:
            return self.user.argv(argv, variables)
        return ["env", "-i", *(f"{key}={value}" for key, value in variables.items()), *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
    ) -> Completed:
        """Run something to its end."""
        return run(self.argv(argv, env), timeout=timeout, cwd=cwd or self.home)

    def python(self, text: str, *arguments: str, timeout: float = 60) -> Completed:
        """Run Python with our modules."""
        return self.run(
            [PYTHON, "-c", text, *arguments], env={"PYTHONPATH": str(self.source)}, timeout=timeout
        )

    def build(
        self, script: str, *, scratch: str | None = None, timeout: float = 20, **job: Any
    ) -> Built:
        """Run an sh script in the builder, in a new scratch directory unless one is named."""
        scratch = scratch or f"scratch-{secrets.token_hex(4)}"
        data = {
            "lower": str(self.tree),
            "scratch": str(self.directory / scratch),
            "argv": ["/bin/sh", "-c", script],
            "environment": ENVIRONMENT,
            "timeout": timeout,
            **job,
        }
        done = self.python(_BUILD, json.dumps(data), timeout=timeout + 60)
        assert done.ok, done.stderr.decode()
        return Built(**json.loads(done.stdout))

    def launch(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Completed:
        """Run the launcher with these options and this command."""
        return self.run([str(self.launcher), *argv], env=env, cwd=cwd)

    def sh(self, script: str, *options: str, env: Mapping[str, str] | None = None) -> Completed:
        """Run an sh script inside."""
        return self.launch(*options, "--", "sh", "-c", script, env=env)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start the launcher in the background, its own pid being the child's."""
        command = self.argv([str(self.launcher), *argv])
        if self.user is not None:  # runuser would stand between us and the launcher
            at = command.index("env")
            command = [
                *("setpriv", "--reuid", str(self.user.uid), "--regid", str(self.user.gid)),
                *("--clear-groups", *command[at:]),
            ]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=self.home,
            start_new_session=True,
        )


@pytest.fixture(scope="session")
def model_tree(public_directory: Path) -> Path:
    return small_tree(public_directory / "model-tree")


@pytest.fixture(scope="module", params=["root", "user"])
def party(
    request: pytest.FixtureRequest, public_directory: Path, model_tree: Path, installed_source: Path
) -> Iterator[Party]:
    """Both, where we are root; else only ourselves, as the ordinary user."""
    if os.geteuid() != 0 and request.param == "root":
        pytest.skip("needs root")
    user: OrdinaryUser | None = None
    if os.geteuid() == 0 and request.param == "user":
        user = request.getfixturevalue("ordinary_user")
    # Characters that an overlay's options and sh have a meaning for.
    directory = public_directory / f"{request.param}, a:b $c'd" / request.module.__name__
    (directory / "home/project").mkdir(parents=True)
    tree = directory / "store/trees/0123abcd"
    tree.parent.mkdir(parents=True)
    run(["cp", "-a", str(model_tree), str(tree)], timeout=60)
    if user is not None:
        give(directory, user.uid, user.gid)
    party = Party(request.param, user, installed_source, directory, tree)
    done = party.python(_LAUNCHER, str(tree), str(party.launcher.parent), str(directory / "store"))
    assert done.ok, done.stderr.decode()
    yield party
    remove_tree(directory)
