"""The machine's power is cut at random moments of an upgrade: it starts the old or the new system.

A machine is started once and its memory kept; each cut goes on from there, in a copy. What the
guest had not flushed is lost with QEMU's process, as with a disk's cache. DOLMEN_TEST_CUTS says how
many.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lib import partitions
from tests.lib.machines import Machine
from tests.system.conftest import Start
from tests.system.lab import Lab
from tests.system.ways import assert_healthy, rebase, roles

pytestmark = [pytest.mark.network, pytest.mark.long, pytest.mark.timeout(14400)]

CUTS = int(os.environ.get("DOLMEN_TEST_CUTS", "10"))
#: Machines at a time; each has one processor.
_ABREAST = 2
_BOOT, _ROOT = 3, 4


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of one: seconds after which, what started then, what was wrong ("": nothing)."""

    after: float
    started: str
    fault: str = ""


@pytest.fixture
def url(lab: Lab) -> Iterator[str]:
    with lab.served() as address:
        yield address


def test_a_power_cut_leaves_the_old_system_or_the_new(
    lab: Lab, start: Start, url: str, tmp_path: Path
) -> None:
    machine = start(network=True, processors=1)
    machine.wait()
    assert_healthy(machine)
    machine.connect()
    machine.save("ready")
    machine.kill()
    ready = tmp_path / "ready.qcow2"
    machine.disk.rename(ready)
    known = machine.boot

    whole = _uncut(ready, tmp_path / "uncut", known, url)
    seed = random.Random(os.environ.get("DOLMEN_TEST_SEED", "dolmen"))
    moments = [whole * (number + seed.random()) / CUTS for number in range(CUTS)]
    with ThreadPoolExecutor(_ABREAST) as crew:
        cuts = list(
            crew.map(
                lambda item: _cut(lab, ready, tmp_path / f"cut-{item[0]}", known, url, item[1]),
                enumerate(moments),
            )
        )
    assert [cut.fault for cut in cuts if cut.fault] == []
    assert {cut.started for cut in cuts} == {"old", "new"}


def _resumed(ready: Path, scratch: Path, known: str) -> Machine:
    scratch.mkdir()
    disk = scratch / "disk.qcow2"
    shutil.copyfile(ready, disk)
    machine = Machine(disk, scratch, network=True, processors=1)
    machine.boot = known
    machine.start(resume="ready")
    machine.run("true")
    return machine


def _uncut(ready: Path, scratch: Path, known: str, url: str) -> float:
    """How long an upgrade takes, from the command to the boot menu."""
    with_menu = _resumed(ready, scratch, known)
    try:
        began = time.monotonic()
        with_menu.send(f"{rebase(url)} --reboot")
        with_menu.expect("GNU GRUB", 900)
        return time.monotonic() - began
    finally:
        with_menu.kill()
        shutil.rmtree(scratch)


def _cut(lab: Lab, ready: Path, scratch: Path, known: str, url: str, after: float) -> Cut:
    machine = _resumed(ready, scratch, known)
    started = ""
    try:
        machine.send(f"{rebase(url)} --reboot")
        time.sleep(after)
        machine.kill()
        for number in (_BOOT, _ROOT):
            copy = partitions.partition(machine.disk, number, scratch / "partition")
            assert partitions.check(copy) == "", f"partition {number}, cut after {after:.1f} s"
            copy.unlink()
        machine.start()
        machine.wait()
        assert_healthy(machine)
        there = roles(machine)["booted"]
        assert there in (lab.first, lab.second)
        started = "old" if there == lab.first else "new"
        # The next upgrade goes through, to its last step.
        machine.connect()
        if started == "old":
            machine.run(rebase(url), 900)
        else:
            machine.run("dolmen system rollback", 300)
        machine.power_off()
        other = lab.second if started == "old" else lab.first
        copy = partitions.partition(machine.disk, _BOOT, scratch / "partition")
        assert partitions.check(copy) == ""
        loader = partitions.link(copy, "/loader")
        menu = partitions.read(copy, f"/{loader}/grub.cfg")
        assert f"dolmen_first='{other}." in menu
        print(f"cut after {after:.1f} s: the {started} system", flush=True)
        return Cut(after, started)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"cut after {after:.1f} s: {error}", flush=True)
        return Cut(after, started, f"after {after:.1f} s: {error}")
    finally:
        machine.kill()
        shutil.rmtree(scratch, ignore_errors=True)
