"""One machine's life: it starts, is upgraded, goes back. Part of `make check`."""

from __future__ import annotations

import pytest

from tests.lib.machines import Machine
from tests.system.conftest import Start
from tests.system.lab import Lab
from tests.system.ways import assert_healthy, roles, status, take_from

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


def assert_debian(machine: Machine) -> None:
    """What every Debian can, and what only an immutable one refuses."""
    assert machine.try_run("touch /usr/bin/x").code != 0
    assert "Read-only" in machine.try_run("touch /usr/x").err
    machine.run("touch /etc/x /var/x /root/x /home/x && rm /etc/x /var/x /root/x /home/x")
    listed = machine.run("dpkg -l")
    assert "\nii  lighttpd" in listed
    assert "\nii  linux-image-" in listed
    # All packages are compared in test_lives.py: it takes a minute here.
    assert machine.run("dpkg -V lighttpd base-files bash systemd openssh-server login", 300) == ""
    assert "Installed: " in machine.run("apt-cache policy lighttpd")
    machine.run("systemctl is-active lighttpd ssh")
    assert "lighttpd" in machine.run("curl -sSi http://127.0.0.1/").lower()
    assert machine.run("id -u ada").strip() == "1000"
    assert machine.run("hostname").strip() == "dolmen-test"
    assert machine.run("stat -c %s /etc/machine-id").strip() == "33"
    assert "ssh-ed25519" in machine.run("cat /etc/ssh/ssh_host_ed25519_key.pub")


def test_a_machine_starts_is_upgraded_and_goes_back(lab: Lab, start: Start) -> None:
    machine = start(network=True)
    machine.wait()
    assert_healthy(machine)
    assert_debian(machine)
    assert roles(machine) == {"booted": lab.first}

    machine.run("echo mine >/etc/dolmen-other.conf; echo kept >/var/lib/note; echo own >/etc/own")
    with lab.served() as url:
        take_from(machine, url)
    assert roles(machine) == {"pending": lab.second, "booted": lab.first}
    assert machine.try_run("command -v hello").code != 0

    machine.reboot()
    assert_healthy(machine)
    assert roles(machine) == {"booted": lab.second, "rollback": lab.first}
    assert machine.run("hello").startswith("Hello")
    assert machine.run("cat /etc/dolmen-test.conf").strip() == "two"
    assert machine.run("cat /etc/dolmen-other.conf").strip() == "mine"
    assert machine.run("cat /var/lib/note /etc/own").split() == ["kept", "own"]
    assert status(machine)["deployments"][0]["boot"] == "good"

    machine.run("dolmen system rollback", 300)
    machine.reboot()
    assert_healthy(machine)
    assert roles(machine)["booted"] == lab.first
    assert machine.run("cat /etc/dolmen-test.conf").strip() == "one"
    assert machine.run("cat /var/lib/note").strip() == "kept"
    machine.power_off()
