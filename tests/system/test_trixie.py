"""A machine of trixie: newer systemd, GRUB, Python and libostree than the host's."""

from __future__ import annotations

import json
import os

import pytest

from tests.lib import machines
from tests.lib.command import Dolmen
from tests.lib.machines import Machine
from tests.system.conftest import Start
from tests.system.lab import Lab, make
from tests.system.ways import assert_healthy, roles, take_from

pytestmark = [
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.environ.get("DOLMEN_TEST_TRIXIE") != "1",
        reason="two more images and four more starts: DOLMEN_TEST_TRIXIE=1",
    ),
]


@pytest.fixture(scope="module")
def trixie(in_lab: Dolmen) -> Lab:
    """The same images of trixie."""
    return make(in_lab, in_lab.directory / "trixie", suite="trixie")


def started(start: Start, trixie: Lab, firmware: str) -> Machine:
    # With two processors its kernel hangs early in this emulator.
    machine = start(trixie.disk, firmware=firmware, network=True)
    machine.wait()
    assert_healthy(machine)
    assert "trixie" in machine.run("cat /etc/os-release")
    return machine


def test_a_machine_of_trixie_starts_by_uefi(trixie: Lab, start: Start) -> None:
    reason = machines.missing_uefi()
    if reason:
        pytest.skip(reason)
    machine = started(start, trixie, "uefi")
    machine.run("test -d /sys/firmware/efi")
    machine.power_off()


def test_a_machine_of_trixie_is_upgraded_and_goes_back(trixie: Lab, start: Start) -> None:
    machine = started(start, trixie, "bios")
    listed = json.loads(machine.run("dolmen system etc-diff --json").splitlines()[-1])
    changed = {change["path"] for change in listed["changes"]}
    # What first starts make, and nothing of what was declared.
    own = ("/etc/ssh/ssh_host_", "/etc/machine-id", "/etc/.updated", "/etc/.pwd.lock")
    assert [path for path in changed if not path.startswith(own)] == []
    with trixie.served() as url:
        take_from(machine, url)
    machine.reboot()
    assert_healthy(machine)
    assert roles(machine) == {"booted": trixie.second, "rollback": trixie.first}
    assert machine.run("hello").startswith("Hello")
    machine.run("dolmen system rollback", 300)
    machine.reboot()
    assert_healthy(machine)
    assert roles(machine)["booted"] == trixie.first
    machine.power_off()
