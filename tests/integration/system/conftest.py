"""A sysroot for each test, in memory where that is possible: libostree syncs a lot."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.support.files import remove_tree
from tests.lib.sysroots import Lab, allow_deletion


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A fresh sysroot with a state root and no deployment."""
    monkeypatch.setenv("OSTREE_SYSROOT_DEBUG", "")
    allow_deletion()
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="dolmen-lab-", dir=place))
    directory.chmod(0o755)
    yield Lab(directory)
    remove_tree(directory)
