"""What a machine becomes when it first starts: itself, as declared, and as large as its disk."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.lib import machines
from tests.lib.command import Dolmen
from tests.lib.machines import Machine, Moment
from tests.system.conftest import Resume, Start
from tests.system.lab import LOCALE, ZONE, Lab, declare
from tests.system.ways import SEED, assert_healthy, assert_sound, roles

pytestmark = [pytest.mark.network, pytest.mark.long, pytest.mark.timeout(3600)]
GIB = 1 << 30
#: Power cuts of a first start, and seconds from power-on in which they come.
_CUTS, _EARLY, _LATE = 3, 8.0, 45.0


def identity(machine: Machine) -> set[str]:
    """What no two machines may have in common."""
    keys = machine.run("cut -d' ' -f1,2 /etc/ssh/ssh_host_*_key.pub").splitlines()
    assert len(keys) >= 3
    seed = machine.run("sha256sum </var/lib/systemd/random-seed")
    return {*keys, seed, machine.run("cat /etc/machine-id")}


def enlarged(disk: Path, place: Path) -> Path:
    """The same disk with 2 GiB at its end that belong to nobody."""
    machines.overlay(disk, place)
    subprocess.run(["qemu-img", "resize", "-q", str(place), "+2G"], check=True, timeout=60)
    return place


def size_of_root(machine: Machine) -> int:
    """The bytes that the root's file system says it has."""
    blocks, size = machine.run("stat -f -c '%b %S' /sysroot").split()
    return int(blocks) * int(size)


def test_a_machine_by_uefi_has_nothing_secret_of_another_and_its_whole_disk(
    lab: Lab, ready: Moment, resume: Resume, start: Start, tmp_path: Path
) -> None:
    reason = machines.missing_uefi()
    if reason:
        pytest.skip(reason)
    one = resume(ready)
    assert one.try_run("test -d /sys/firmware/efi").code == 1
    first, small = identity(one), size_of_root(one)
    one.kill()
    disk = enlarged(lab.disk, tmp_path / "large.qcow2")
    other = start(disk, firmware="uefi", processors=2)
    other.wait()
    assert_healthy(other)
    other.run("test -d /sys/firmware/efi")
    assert not first & identity(other)
    assert size_of_root(other) - small > 1.9 * GIB
    assert other.run("dpkg -V", 900) == ""
    other.power_off()


def test_a_power_cut_in_the_first_start_costs_nothing(lab: Lab, tmp_path: Path) -> None:
    """The same machine again and again; its disk is larger than the image, so the root grows."""
    disk = enlarged(lab.disk, tmp_path / "disk.qcow2")
    seed = random.Random(SEED)
    machine = Machine(disk, tmp_path / "machine")
    try:
        for number in range(_CUTS):
            machine.start()
            step = (_LATE - _EARLY) / _CUTS
            time.sleep(_EARLY + step * (number + seed.random()))
            machine.kill()
            assert_sound(disk, tmp_path / "part")
        machine.start()
        machine.wait()
        assert_healthy(machine)
        assert roles(machine) == {"booted": lab.first}
        assert machine.run("stat -c %s /etc/machine-id").strip() == "33"
        for kind in ("ed25519", "ecdsa", "rsa"):
            key = f"/etc/ssh/ssh_host_{kind}_key"
            public = machine.run(f"ssh-keygen -y -f {key}").split()[:2]
            assert machine.run(f"cat {key}.pub").split()[:2] == public
        assert size_of_root(machine) > 4.5 * GIB
        machine.power_off()
    finally:
        machine.kill()


@pytest.mark.root
@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_roots_of_other_file_systems_start_and_grow(
    lab: Lab, start: Start, in_lab: Dolmen, tmp_path: Path, kind: str
) -> None:
    place = declare(
        tmp_path / kind,
        key=lab.directory / "key.gpg",
        text=kind,
        sequence=1_700_000_001,
        disk=f'filesystem = "{kind}"',
    )
    # The same packages and numbers; only who asks for them differs.
    lab.borrow_lock(place)
    in_lab.ok("lock", cwd=place, timeout=900)
    disk = tmp_path / f"{kind}.raw"
    in_lab.ok("system", "image", "-o", disk, cwd=place, timeout=1800)
    machine = start(enlarged(disk, tmp_path / "large.qcow2"))
    machine.wait()
    assert_healthy(machine)
    assert machine.run("findmnt -no FSTYPE /sysroot").split()[-1] == kind
    assert size_of_root(machine) > 4.5 * GIB
    machine.power_off()


def test_what_was_declared_is_there(lab: Lab, ready: Moment, resume: Resume) -> None:
    machine = resume(ready)
    assert machine.run("hostname; hostnamectl hostname").split() == ["dolmen-test"] * 2
    shown = machine.run("localectl status; timedatectl show -p Timezone; date +%Z")
    assert f"LANG={LOCALE}" in shown
    assert f"Timezone={ZONE}" in shown
    assert shown.split()[-1] in ("CET", "CEST")
    assert machine.run(f"LC_ALL={LOCALE} date -d 2024-03-01 +%B").strip() == "März"
    # `is-enabled` looks for links in /etc alone.
    enabled = "dolmen-test lighttpd ssh"
    assert machine.run(f"systemctl show -P WantedBy {enabled}").split() == ["multi-user.target"] * 3
    assert machine.run(f"systemctl is-active {enabled}").split() == ["active"] * 3
    masked = machine.try_run("systemctl is-enabled apt-daily.timer e2scrub_reap.service").out
    assert masked.split() == ["masked"] * 2
    # Of the machine's own, nothing differs from what the image has but what first starts make.
    changed = machine.run("dolmen system etc-diff --json")
    assert "locale" not in changed


def test_who_is_declared_gets_in_by_ssh(lab: Lab, ready: Moment, resume: Resume) -> None:
    machine = resume(ready)
    port = machine.forward(22)
    argv = ["ssh", "-F", "none", "-p", str(port), "-o", "BatchMode=yes"]
    argv += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={machine.scratch}/known"]
    argv += ["-o", "IdentityAgent=none", "-o", "ConnectTimeout=60", "-o", "IdentitiesOnly=yes"]

    def login(user: str, key: Path) -> subprocess.CompletedProcess[str]:
        ends = ["-i", str(key), f"{user}@127.0.0.1", "id -un; cat /etc/hostname"]
        return subprocess.run([*argv, *ends], capture_output=True, text=True, timeout=200)

    done = login("ada", lab.login)
    assert done.stdout.split() == ["ada", "dolmen-test"], done.stderr
    ours = machine.run("cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub").strip()
    assert ours in (machine.scratch / "known").read_text()
    other = machine.scratch / "other"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)]
    subprocess.run(make, check=True, timeout=60)
    for user, key in (("ada", other), ("root", lab.login)):
        refused = login(user, key)
        assert refused.returncode == 255
        assert "Permission denied (publickey" in refused.stderr
