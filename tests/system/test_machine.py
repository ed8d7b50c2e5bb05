"""One machine's life: it starts, is upgraded, goes back. Part of `make check`."""

from __future__ import annotations

import pytest

from tests.lib.machines import Machine, Moment
from tests.system.conftest import Resume
from tests.system.lab import Lab
from tests.system.ways import assert_healthy, roles, status

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


def assert_debian(machine: Machine) -> None:
    """What every Debian can, and what only an immutable one refuses."""
    assert machine.try_run("touch /usr/bin/x").code != 0
    assert "Read-only" in machine.try_run("touch /usr/x").err
    machine.run("touch /etc/x /var/x /root/x /home/x && rm /etc/x /var/x /root/x /home/x")
    listed = machine.run("dpkg -l")
    assert "\nii  lighttpd" in listed
    assert "\nii  linux-image-" in listed
    # All packages are compared in test_first_start.py: it takes a minute here.
    assert machine.run("dpkg -V lighttpd base-files bash systemd openssh-server login", 300) == ""
    assert "Installed: " in machine.run("apt-cache policy lighttpd")
    machine.run("systemctl is-active lighttpd ssh")
    assert "lighttpd" in machine.run("curl -sSi http://127.0.0.1/").lower()
    assert machine.run("id -u ada").strip() == "1000"
    assert machine.run("hostname").strip() == "dolmen-test"
    assert machine.run("stat -c %s /etc/machine-id").strip() == "33"
    assert "ssh-ed25519" in machine.run("cat /etc/ssh/ssh_host_ed25519_key.pub")


def test_a_started_machine_is_a_debian(lab: Lab, ready: Moment, resume: Resume) -> None:
    machine = resume(ready)
    assert roles(machine) == {"booted": lab.first}
    assert_debian(machine)


def test_an_upgrade_is_what_starts_next(lab: Lab, newer: Moment, resume: Resume) -> None:
    machine = resume(newer)
    assert roles(machine) == {"booted": lab.second, "rollback": lab.first}
    assert status(machine)["deployments"][0]["boot"] == "good"
    assert machine.run("hello").startswith("Hello")
    texts = machine.run("cd /etc && cat dolmen-test.conf dolmen-other.conf dolmen-own.conf")
    assert texts.split() == ["two", "mine", "mine"]
    assert machine.run("cat /var/lib/note").strip() == "kept"


def test_a_rollback_is_for_good(lab: Lab, newer: Moment, resume: Resume) -> None:
    machine = resume(newer)
    machine.run("dolmen system rollback", 300)
    machine.reboot()
    assert_healthy(machine)
    assert roles(machine) == {"booted": lab.first, "rollback": lab.second}
    texts = machine.run("cd /etc && cat dolmen-test.conf dolmen-other.conf dolmen-own.conf")
    assert texts.split() == ["one", "mine", "mine"]
    assert machine.run("cat /var/lib/note").strip() == "kept"
    machine.power_off()
