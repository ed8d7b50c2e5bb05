"""What several rooms of the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.faults.disks import Memory, memory


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Memory]:
    """A file system in memory that can be made full."""
    with memory(tmp_path) as found:
        if found is None:
            pytest.skip("tmpfs has no user attributes here (Linux before 6.6)")
        yield found
