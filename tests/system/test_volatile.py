"""Machines that forget what the last start has changed."""

from __future__ import annotations

import pytest

from tests.lib.command import Dolmen
from tests.system.conftest import Start
from tests.system.lab import Lab, declare
from tests.system.ways import assert_healthy

pytestmark = [pytest.mark.network, pytest.mark.long, pytest.mark.timeout(3600)]


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
