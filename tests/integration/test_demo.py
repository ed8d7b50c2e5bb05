"""The main job as `make demo` shows it, against the real archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.support.run import run
from tests.lib.command import Dolmen

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.network
def test_the_demo_says_hello(archive_command: Dolmen, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "dolmen"
    command.write_text(f'#!/bin/sh\nexec {archive_command.front} "$@"\n')
    command.chmod(0o755)
    environment = archive_command.environment()
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    environment["TMPDIR"] = str(tmp_path)
    done = run([str(ROOT / "scripts/demo")], env=environment, cwd=tmp_path, timeout=400)
    assert done.ok, done.stderr.decode()
    shown = done.stdout.decode()
    assert "\nhello\n" in shown
    assert "\ncurl 7.88" in shown
    assert "dolmen run --dir foo" in shown
    assert not list(tmp_path.glob("tmp.*"))
