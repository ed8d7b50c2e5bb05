"""A machine of trixie: newer systemd, GRUB, Python and libostree than the host's."""

from __future__ import annotations

import os

import pytest

from tests.lib import machines
from tests.lib.command import Dolmen
from tests.system.conftest import Start
from tests.system.lab import Lab, make
from tests.system.ways import assert_healthy, roles, take_from

pytestmark = [
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.environ.get("DOLMEN_TEST_TRIXIE") != "1",
        reason="two more images and six more starts: DOLMEN_TEST_TRIXIE=1",
    ),
]


@pytest.fixture(scope="module")
def trixie(in_lab: Dolmen) -> Lab:
    """The same images of trixie."""
    return make(in_lab, in_lab.directory / "trixie", suite="trixie")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_machine_of_trixie_starts_is_upgraded_and_goes_back(
    trixie: Lab, start: Start, firmware: str
) -> None:
    reason = machines.missing_uefi() if firmware == "uefi" else ""
    if reason:
        pytest.skip(reason)
    # One processor: this emulator hangs with two, early in the kernel.
    machine = start(trixie.disk, firmware=firmware, network=True, processors=1)
    machine.wait()
    assert_healthy(machine)
    assert "trixie" in machine.run("cat /etc/os-release")
    changed = {line.split()[-1] for line in machine.run("dolmen system etc-diff").splitlines()}
    print(changed)
    assert not {"/etc/default/locale", "/etc/locale.conf", "/etc/vconsole.conf"} & changed
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
