"""What several tests ask of a machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.lib import partitions
from tests.lib.machines import Machine
from tests.system.lab import KEY, REF

#: What random moments are drawn from.
SEED = os.environ.get("DOLMEN_TEST_SEED", "dolmen")
#: Numbers of partitions.
BOOT, ROOT = 3, 4


def status(machine: Machine) -> dict[str, Any]:
    """What `dolmen system status --json` says."""
    value = json.loads(machine.run("dolmen system status --json", 300).strip().splitlines()[-1])
    assert isinstance(value, dict)
    return value


def roles(machine: Machine) -> dict[str, str]:
    """The commit of each role, as `status` has it."""
    return {one["role"]: one["commit"] for one in status(machine)["deployments"]}


def take_from(machine: Machine, url: str, *, ref: str = REF) -> None:
    """Stage the newest image of a server; it becomes an entry when the machine is restarted."""
    machine.connect()
    machine.run(rebase(url, ref), 900)


def rebase(url: str, ref: str = REF) -> str:
    """The command for that."""
    return f"dolmen system rebase {url} {ref} --key={KEY}"


def assert_healthy(machine: Machine) -> None:
    """Everything was started, and nothing of it has failed."""
    state = machine.try_run("systemctl is-system-running --wait", 300).out.strip()
    failed = machine.run("systemctl --failed --no-legend --plain")
    assert (state, failed) == ("running", ""), machine.run("journalctl -b -p warning | tail -50")


def assert_linked(machine: Machine) -> None:
    """Deployments share their files with the repository: each is a tree of links, no copy.

    A few small files in a tree are libostree's own.
    """
    for one in status(machine)["deployments"]:
        found = machine.run(f"find {one['path']}/usr -xdev -type f -links 1 -printf '%s %p\\n'")
        sizes = [int(line.split()[0]) for line in found.splitlines()]
        assert sum(sizes) < 1 << 20, found[:4000]


def assert_sound(disk: Path, copy: Path) -> None:
    """Both file systems of a machine that is off are whole once their journals are replayed."""
    for number in (BOOT, ROOT):
        part = partitions.extract(disk, number, copy)
        assert partitions.check(part) == "", f"partition {number}"
        part.unlink()
