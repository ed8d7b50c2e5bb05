from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dolmen.cli.main import main
from dolmen.cli.session import Session
from tests.lib.backend import FakeBackend


@dataclass(frozen=True)
class Said:
    """How a command line ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


Say = Callable[..., Said]


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    store = tmp_path / "store"
    store.mkdir()
    fake = FakeBackend(store)
    monkeypatch.setattr(Session, "backend", lambda self: fake)
    monkeypatch.setenv("NO_COLOR", "1")
    return fake


@pytest.fixture
def say(
    backend: FakeBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Say:
    """Types a command line in an empty directory, in this process."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)

    def run(*argv: str) -> Said:
        capsys.readouterr()
        code = main(argv)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run
