"""Every command that changes something, under faults at its system calls.

The table of commands is tests/lib/faults/cases.py, what must hold after each fault is
tests/lib/faults/proving.py. Some calls of each command are tried; DOLMEN_TEST_STRIDE=1 tries all of
them, which takes an hour.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lib.faults.cases import ENVIRONMENTS, REPOSITORIES
from tests.lib.faults.environments import EnvironmentWorld
from tests.lib.faults.proving import STRIDE, Case, Proof
from tests.lib.faults.repositories import RepositoryWorld
from tests.lib.faults.tracing import STRACE
from tests.lib.faults.worlds import memory_directory
from tests.lib.faults.zygote import Zygote

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE")
ERRORS = ("ENOSPC", "EIO", "EROFS", "EMFILE")
EVERYTHING = STRIDE in os.environ

pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace")


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as found:
        yield found


@pytest.fixture(scope="module", params=[*ENVIRONMENTS, *REPOSITORIES], ids=str)
def proof(request: pytest.FixtureRequest, zygote: Zygote) -> Iterator[Proof[Any]]:
    """A command that has been seen working."""
    case: Case[Any] = request.param
    kind = EnvironmentWorld if case in ENVIRONMENTS else RepositoryWorld
    with memory_directory() as directory:
        yield Proof(kind(zygote, directory), case)


def test_killed(proof: Proof[Any]) -> None:
    proof.kills(6)


def test_unheard(proof: Proof[Any]) -> None:
    proof.unheard()


def test_signals(proof: Proof[Any]) -> None:
    for name in SIGNALS if EVERYTHING else SIGNALS[_place(proof) % 2 :: 2]:
        proof.signals(name, 1)


def test_calls_that_fail(proof: Proof[Any]) -> None:
    """Once, and from then on; by turns from command to command, unless all is wanted."""
    for number, error in enumerate(ERRORS):
        for ever in (False, True) if EVERYTHING else ((number + _place(proof)) % 2 == 0,):
            proof.fails(error, 1, ever=ever)


def _place(proof: Proof[Any]) -> int:
    return [*ENVIRONMENTS, *REPOSITORIES].index(proof.case)


def test_durable_in_the_right_order(zygote: Zygote) -> None:
    """C18: contents are synced before their rename, directories after; `current` moves last."""
    (case,) = [case for case in ENVIRONMENTS if case.name == "install"]
    with memory_directory() as directory:
        proof = Proof(EnvironmentWorld(zygote, directory), case)
        here = str(proof.world.here)
        calls = [call for call in proof.calls if call.name in ("rename", "fsync")]
        renamed = []
        for position, call in enumerate(calls):
            if call.name != "rename":
                continue
            source, target = re.findall(r'"([^"]*)"', call.text)
            if not target.startswith(here):
                continue
            renamed.append(os.path.basename(target))
            later = [one.text for one in calls[position:] if one.name == "fsync"]
            assert any(f"<{os.path.dirname(target)}>" in text for text in later), target
            if not os.path.basename(source).startswith((".new.", ".current.")):
                earlier = [one.text for one in calls[:position] if one.name == "fsync"]
                assert any(f"<{source}>" in text for text in earlier), source
        assert renamed[-4:] == ["dolmen.toml", "dolmen.lock", "2", "current"]
