"""A disk that is full, in bytes and in inodes, at several moments of every command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lib.faults.cases import ENVIRONMENTS, REPOSITORIES
from tests.lib.faults.disks import Memory
from tests.lib.faults.environments import EnvironmentWorld
from tests.lib.faults.proving import Case, Proof
from tests.lib.faults.repositories import RepositoryWorld
from tests.lib.faults.tracing import STRACE
from tests.lib.faults.zygote import Zygote

pytestmark = [pytest.mark.root, pytest.mark.skipif(STRACE is None, reason="needs strace")]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as found:
        yield found


@pytest.mark.parametrize("case", [*ENVIRONMENTS, *REPOSITORIES], ids=str)
def test_full(case: Case[Any], zygote: Zygote, small: Memory) -> None:
    kind = EnvironmentWorld if case in ENVIRONMENTS else RepositoryWorld
    (small.mount / "world").mkdir()
    Proof(kind(zygote, small.mount / "world"), case).fills(small, (0,) if case.roomless else (0.6,))
