"""Where a command is typed that cannot do its work: told in prose, with the code for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dolmen.cli.failure import report
from dolmen.cli.session import Session
from dolmen.environment import initialise
from dolmen.support.errors import DeclarationError

SOURCES = Path(__file__).parents[3] / "src"


def _python(code: str, *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_the_first_finding_is_not_told_twice(capfd: pytest.CaptureFixture[str]) -> None:
    fault, other = "line 3: package jq is given twice", "line 4: unknown key 'foo'"
    error = DeclarationError(
        "dolmen.toml has 2 faults",
        context=f"dolmen.toml, {fault}",
        details=[fault, other],
    )
    assert report(error, Session()) == 3
    said = capfd.readouterr().err
    assert said.count(fault) == 1
    assert said.count(other) == 1


def test_ctrl_c_while_being_loaded_leaves_no_traceback() -> None:
    code = f"""
import builtins, os, runpy, sys
sys.path.insert(0, {str(SOURCES)!r})
true_import = builtins.__import__
def interrupted(name, *rest, **named):
    if name == "dolmen.cli.main":
        raise KeyboardInterrupt
    return true_import(name, *rest, **named)
builtins.__import__ = interrupted
sys.argv = ["dolmen", "list"]
runpy.run_module("dolmen", run_name="__main__")
"""
    done = _python(code)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("verb", ["init", "list", "install"])
def test_a_working_directory_that_is_gone(verb: str, tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(SOURCES)!r})
from dolmen.cli.main import main
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
raise SystemExit(main(["--json", {verb!r}]))
"""
    done = _python(code, cwd=tmp_path)
    assert done.returncode == 8
    assert '"reason": "no-directory"' in done.stdout
    assert "Errno" not in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every directory")
def test_a_directory_that_may_not_be_looked_into(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    code = f"""
import sys
sys.path.insert(0, {str(SOURCES)!r})
from dolmen.cli.main import main
raise SystemExit(main(["--json", "--dir", {str(closed)!r}, "list"]))
"""
    done = _python(code)
    assert done.returncode == 8
    assert '"reason": "no-directory"' in done.stdout


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_manifest_heeds_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        made = initialise(tmp_path, suite="bookworm")
    finally:
        os.umask(before)
    assert made.manifest.stat().st_mode & 0o777 == mode
