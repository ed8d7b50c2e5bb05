"""The machine's power is cut at random moments: it starts the old system or the new.

Lives begin where one machine was kept. In each an upgrade is begun and the power cut, again and
again, until the new system is there or three cuts have come; then a change goes through to its
end. What the guest had not flushed is lost with QEMU's process, as with a disk's cache.
DOLMEN_TEST_CUTS says how many.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lib import partitions
from tests.lib.machines import Machine, Moment
from tests.system.conftest import Resume
from tests.system.lab import Lab
from tests.system.ways import BOOT, SEED, assert_healthy, assert_sound, rebase, roles

pytestmark = [pytest.mark.network, pytest.mark.long, pytest.mark.timeout(14400)]

CUTS = int(os.environ.get("DOLMEN_TEST_CUTS", "10"))
#: Machines at a time; each has one processor.
_ABREAST = 2
#: Cuts of one life: what was fetched is there after the first, and so it gets further.
_A_LIFE = 3
#: Up to when cuts come, in parts of an upgrade: some also in the new system's first seconds.
_SPAN = 1.25


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
    lab: Lab,
    ready: Moment,
    resume: Resume,
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = _uncut(resume(ready), url)
    seed = random.Random(SEED)
    moments = [_SPAN * whole * (number + seed.random()) / CUTS for number in range(CUTS)]
    seed.shuffle(moments)
    lives = [moments[i : i + _A_LIFE] for i in range(0, CUTS, _A_LIFE)]
    with ThreadPoolExecutor(_ABREAST) as crew:

        def live(number: int) -> list[Cut]:
            return _live(lab, ready, tmp_path / f"life-{number}", url, lives[number])

        cuts = [cut for life in crew.map(live, range(len(lives))) for cut in life]
    with capsys.disabled():
        # For the record (docs/durability.md).
        print(f"\n{len(cuts)} cuts: {Counter(cut.started or 'a fault' for cut in cuts)}")
    assert [cut.fault for cut in cuts if cut.fault] == []
    assert len(cuts) == CUTS
    assert {cut.started for cut in cuts} == {"old", "new"}


def _uncut(machine: Machine, url: str) -> float:
    """How long an upgrade takes, from the command to the boot menu."""
    began = time.monotonic()
    machine.send(f"{rebase(url)} --reboot")
    machine.expect("GNU GRUB", 900)
    machine.kill()
    return time.monotonic() - began


def _live(lab: Lab, ready: Moment, scratch: Path, url: str, moments: list[float]) -> list[Cut]:
    """One life of a machine; ends with the first fault."""
    machine = ready.resumed(scratch)
    cuts: list[Cut] = []
    try:
        for after in moments:
            # Once the new system is there, the next upgrade is one from the old again.
            if cuts and cuts[-1].started == "new":
                _finish(lab, machine, url, "new", scratch)
                shutil.rmtree(scratch)
                machine = ready.resumed(scratch)
            cuts.append(_cut(lab, machine, scratch, url, after))
            print(f"cut after {after:.1f} s: the {cuts[-1].started} system", flush=True)
        _finish(lab, machine, url, cuts[-1].started, scratch)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"cut {len(cuts)} of {moments}: {error}", flush=True)
        cuts.append(Cut(0.0, "", f"{[f'{at:.1f}' for at in moments]}: {error}"))
    finally:
        machine.kill()
        shutil.rmtree(scratch, ignore_errors=True)
    return cuts


def _cut(lab: Lab, machine: Machine, scratch: Path, url: str, after: float) -> Cut:
    machine.connect()
    machine.send(f"{rebase(url)} --reboot")
    time.sleep(after)
    machine.kill()
    assert_sound(machine.disk, scratch / "part")
    machine.start()
    machine.wait()
    assert_healthy(machine)
    there = roles(machine)["booted"]
    assert there in (lab.first, lab.second)
    return Cut(after, "old" if there == lab.first else "new")


def _finish(lab: Lab, machine: Machine, url: str, started: str, scratch: Path) -> None:
    """The next change goes through, to its last step."""
    machine.connect()
    if started == "old":
        machine.run(rebase(url), 900)
    else:
        machine.run("dolmen system rollback", 300)
    machine.power_off()
    other = lab.second if started == "old" else lab.first
    boot = partitions.extract(machine.disk, BOOT, scratch / "boot")
    assert partitions.check(boot) == ""
    loader = partitions.link(boot, "/loader")
    menu = partitions.read(boot, f"/{loader}/grub.cfg")
    assert f"dolmen_first='{other}." in menu
