from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.environment import Environment, initialise
from tests.lib.backend import FakeBackend


@pytest.fixture
def backend(tmp_path: Path) -> FakeBackend:
    path = tmp_path / "store"
    path.mkdir()
    return FakeBackend(path)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A fresh environment with an empty manifest."""
    directory = tmp_path / "project"
    directory.mkdir()
    return initialise(directory, suite="bookworm")
