"""What else may happen to machines: choices, broken systems, conflicts."""

from __future__ import annotations

import pytest

from tests.lib.machines import Machine, Moment
from tests.system.conftest import Resume
from tests.system.lab import REF, Lab
from tests.system.ways import assert_healthy, roles, status, take_from

pytestmark = [pytest.mark.network, pytest.mark.long, pytest.mark.timeout(3600)]


def upgraded(lab: Lab, machine: Machine, *, ref: str = REF) -> None:
    """Stage the other image; it becomes an entry when the machine is restarted."""
    with lab.served() as url:
        take_from(machine, url, ref=ref)


def test_the_old_entry_is_chosen_once(lab: Lab, newer: Moment, resume: Resume) -> None:
    machine = resume(newer)
    machine.send("systemctl reboot")
    machine.choose(1)
    machine.wait()
    assert_healthy(machine)
    assert roles(machine) == {"booted": lab.first, "pending": lab.second}
    machine.reboot()
    assert roles(machine)["booted"] == lab.second
    machine.power_off()


@pytest.mark.parametrize("part", ["vmlinuz", "initramfs.img"])
def test_a_system_that_does_not_start_is_given_up(
    lab: Lab, ready: Moment, resume: Resume, part: str
) -> None:
    """GRUB refuses what is no kernel; a kernel without initramfs panics until its tries are up."""
    broken = lab.publish_broken(part)
    machine = resume(ready)
    upgraded(lab, machine, ref=f"test/broken-{part}")
    machine.reboot(timeout=1200)
    assert_healthy(machine)
    assert roles(machine)["booted"] == lab.first
    (given_up,) = (one for one in status(machine)["deployments"] if one["commit"] == broken)
    assert given_up["boot"] in ("failed", "on trial")
    if part == "vmlinuz":
        return
    assert given_up["boot"] == "failed"
    assert broken[:12] in machine.run("journalctl -b -o cat -u dolmen-boot-complete")
    # It stays given up, and something newer has a chance of its own.
    machine.reboot()
    assert roles(machine)["booted"] == lab.first
    upgraded(lab, machine)
    machine.reboot()
    assert roles(machine)["booted"] == lab.second
    machine.power_off()


def test_a_menu_that_was_read_without_its_journal_is_read_again(
    lab: Lab, newer: Moment, resume: Resume
) -> None:
    """The rename of /boot/loader is in the journal only, and what the old menu led to is gone."""
    machine = resume(newer)
    machine.run("ostree admin undeploy 1 && sync -f /sysroot/ostree", 300)
    machine.kill()
    machine.start()
    machine.wait()
    assert "read without its journal" in machine.log()
    assert_healthy(machine)
    assert roles(machine) == {"booted": lab.second}


def test_both_sides_of_an_etc_conflict_are_shown(newer: Moment, resume: Resume) -> None:
    machine = resume(newer)
    assert machine.run("cat /etc/dolmen-both.conf").strip() == "mine"
    shown = machine.try_run("dolmen system etc-diff --conflicts")
    assert shown.code == 1
    (line,) = shown.out.strip().splitlines()
    assert line.startswith("M /etc/dolmen-both.conf")
    assert "conflict" in line
    patch = machine.run("dolmen system etc-diff /etc/dolmen-both.conf")
    assert "-two" in patch
    assert "+mine" in patch
    machine.run("dolmen system reset-etc /etc/dolmen-both.conf")
    assert machine.run("cat /etc/dolmen-both.conf").strip() == "two"
    assert "dolmen-both" not in machine.run("dolmen system etc-diff --conflicts")
    machine.power_off()
