"""The tutorial, typed as it is written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lib.command import Dolmen
from tests.lib.transcript import read_steps, typist
from tests.lib.users import OrdinaryUser

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs/tutorial.md"
GIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@localhost"))
}


def follow(dolmen: Dolmen, programs: Path) -> None:
    """Type every command; the first difference ends it."""
    programs.mkdir(mode=0o755)
    command = programs / "dolmen"
    command.write_text(f'#!/bin/sh\nexec {dolmen.front} "$@"\n')
    command.chmod(0o755)
    variables = {
        **dolmen.variables(),
        **GIT,
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "DIRENV_LOG_FORMAT": "",
    }
    argv = ["bash"]
    env: dict[str, str] | None = {**dolmen.environment(), **variables}
    if dolmen.user is not None:
        argv, env = dolmen.user.argv(argv, variables), None
    steps = read_steps(TUTORIAL)
    assert len(steps) > 30
    with typist(argv, cwd=dolmen.directory, env=env) as bash:
        for step in steps:
            began = time.monotonic()
            output, status = bash.type(step.command, 120)
            print(f"[{time.monotonic() - began:.1f} s, {status}] {step.command}\n{output}")
            where = f"{TUTORIAL.name}:{step.line}: {step.command}"
            assert (status != 0) == step.fails, f"{where}: status {status}\n{output}"
            assert step.matches(output), (
                f"{where}\n{output}\nbut the tutorial says\n{step.expected}"
            )


@pytest.mark.network
def test_as_whoever_runs_the_tests(archive_command: Dolmen, tmp_path: Path) -> None:
    follow(archive_command, tmp_path / "bin")


@pytest.mark.network
@pytest.mark.root
def test_as_an_ordinary_user(
    archive_command: Dolmen, ordinary_user: OrdinaryUser, public_directory: Path
) -> None:
    dolmen = archive_command.as_user(ordinary_user)
    follow(dolmen, public_directory / "tutorial-bin")
