import os
import signal
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from dolmen.support.errors import BusyError
from dolmen.support.events import Event, Waiting
from dolmen.support.locking import locked
from dolmen.support.run import spawn

HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dolmen.support.locking import locked
with locked(Path(sys.argv[2]), what="the store", shared=sys.argv[3] == "shared"):
    print("held", flush=True)
    time.sleep(float(sys.argv[4]))
"""


def holder(path: Path, kind: str, seconds: float) -> list[str]:
    source = str(Path(__file__).parents[3] / "src")
    return [sys.executable, "-c", HOLDER, source, str(path), kind, str(seconds)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "lock"


def test_a_second_process_waits_and_says_so_once(path: Path) -> None:
    events: list[Event] = []
    with spawn(holder(path, "exclusive", 0.4), stdout=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with locked(path, what="the store", timeout=30, emit=events.append):
            assert child.wait(timeout=5) == 0
    assert events == [Waiting("the store")]


def test_waiting_ends_with_an_error(path: Path) -> None:
    with locked(path, what="the store", timeout=0):
        pass
    with spawn(holder(path, "exclusive", 60), stdout=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BusyError) as caught, locked(path, what="the store", timeout=0.1):
            pytest.fail("two processes hold one lock")
    assert caught.value.reason == "busy"
    assert caught.value.exit_code == 11


def test_readers_share_and_writers_do_not(path: Path) -> None:
    with spawn(holder(path, "shared", 60), stdout=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with locked(path, what="the store", shared=True, timeout=0):
            pass
        with pytest.raises(BusyError), locked(path, what="the store", timeout=0.1):
            pytest.fail("a writer beside a reader")


def test_a_killed_holder_leaves_no_lock(path: Path) -> None:
    with spawn(holder(path, "exclusive", 60), stdout=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        os.kill(child.pid, signal.SIGKILL)
        with locked(path, what="the store", timeout=10):
            pass


def test_children_do_not_keep_the_lock(path: Path) -> None:
    with locked(path, what="the store"):
        child = os.posix_spawn("/bin/sleep", ["sleep", "30"], {})
    try:
        # The kernel lets the parent of an exec go on just before it closes descriptors.
        with locked(path, what="the store", timeout=10):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_an_error_inside_frees_it(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(path, what="the store"):
        _ = 1 / 0
    before = time.monotonic()
    with locked(path, what="the store", timeout=0):
        assert time.monotonic() - before < 5
