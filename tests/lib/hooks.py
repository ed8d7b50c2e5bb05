"""The prompt hooks in real shells, without a terminal: scripts call them as a prompt does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from dolmen.support.run import Completed, run

DATA = Path(__file__).resolve().parents[2] / "src/dolmen/data"
FILES = {
    "bash": ("check.bash", "hook.bash"),
    "zsh": ("hook.zsh",),
    "fish": ("hook.fish",),
}
_START = {
    "bash": ["bash", "--noprofile", "--norc"],
    "zsh": ["zsh", "-f"],
    "fish": ["fish", "--no-config"],
}
#: The shells that are here.
SHELLS = [shell for shell in FILES if shutil.which(shell)]


def source(shell: str) -> str:
    """What `dolmen hook SHELL` prints."""
    return "".join((DATA / name).read_text() for name in FILES[shell])


def argv(shell: str) -> list[str]:
    """How the shell is started on a script that follows, without start-up files."""
    program = shutil.which(shell)
    assert program
    return [program, *_START[shell][1:], "-c"]


def call(
    shell: str,
    script: str,
    *,
    home: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> Completed:
    """Source the hook, then run `script`; `_dolmen_hook` in it is what a prompt does.

    The scripts of the tests are alike in all shells: names of directories come in as variables.
    """
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8", **(env or {})}
    variables = {name: value for name, value in variables.items() if value is not None}
    text = source(shell) + "\n" + script
    return run([*argv(shell), text], timeout=timeout, env=variables, cwd=cwd)
