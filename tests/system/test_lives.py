"""What else may happen to machines: firmware, choices, broken systems, forgetting."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lib.command import Dolmen
from tests.lib.machines import Machine, Moment
from tests.system.conftest import Resume, Start
from tests.system.lab import REF, Lab, declare
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


def test_a_volatile_machine_forgets_all_but_what_is_kept(
    lab: Lab, start: Start, in_lab: Dolmen
) -> None:
    place = declare(
        lab.directory / "volatile",
        key=lab.directory / "key.gpg",
        text="volatile",
        sequence=1_700_000_001,
        system='volatile = "state"\nkeep = ["/var/lib/kept", "/etc/ssh", "/home"]',
    )
    lab.borrow_lock(place)
    disk = lab.directory / "volatile.raw"
    in_lab.ok("system", "image", "-o", disk, cwd=place, timeout=1800)
    machine = start(disk)
    machine.wait()
    assert_healthy(machine)
    machine.run("echo 1 | tee /etc/forgotten /var/lib/forgotten /etc/dolmen-other.conf")
    machine.run("echo 1 | tee /var/lib/kept/note /home/note /root/forgotten")
    keys = machine.run("cat /etc/ssh/ssh_host_*_key.pub")
    identity = machine.run("cat /etc/machine-id")
    machine.reboot()
    assert_healthy(machine)
    for path in ("/etc/forgotten", "/var/lib/forgotten", "/root/forgotten"):
        assert machine.try_run(f"test -e {path}").code == 1, path
    assert machine.run("cat /etc/dolmen-other.conf").strip() == "as shipped"
    assert machine.run("cat /var/lib/kept/note /home/note").split() == ["1", "1"]
    assert machine.run("cat /etc/ssh/ssh_host_*_key.pub") == keys
    assert machine.run("cat /etc/machine-id") != identity
    machine.power_off()


def test_one_lock_makes_one_image_and_one_disk(lab: Lab, in_lab: Dolmen, tmp_path: Path) -> None:
    assert in_lab.store is not None
    store = tmp_path / "store"
    shutil.copytree(in_lab.store / "debs", store / "debs")
    other = replace(in_lab, store=store)
    place = lab.copy_first(tmp_path / "one")
    assert other.json("system", "build", cwd=place, timeout=1800)["commit"] == lab.first
    other.ok("system", "image", "-o", tmp_path / "disk.raw", cwd=place, timeout=900)
    with (tmp_path / "disk.raw").open("rb") as again, lab.disk.open("rb") as before:
        assert digest(again) == digest(before)


def digest(stream: io.BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()
