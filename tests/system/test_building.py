"""Building again elsewhere, by somebody else: the same commit, and numbers that never move."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.model import parse_lock
from tests.lib.command import Dolmen
from tests.lib.users import OrdinaryUser
from tests.system.lab import Lab

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.long, pytest.mark.timeout(3600)]
SUBORDINATE = "{name}:1700000000:65536\n"


@pytest.fixture
def subordinate(ordinary_user: OrdinaryUser) -> OrdinaryUser:
    """The session's ordinary user, with subordinate ids."""
    for table in (Path("/etc/subuid"), Path("/etc/subgid")):
        text = table.read_text() if table.exists() else ""
        if ordinary_user.name not in text:
            table.write_text(text + SUBORDINATE.format(name=ordinary_user.name))
    return ordinary_user


def test_an_ordinary_user_builds_the_same_commit(
    lab: Lab, in_lab: Dolmen, subordinate: OrdinaryUser
) -> None:
    dolmen = in_lab.as_user(subordinate)
    assert in_lab.store is not None
    store = subordinate.home / ".local/share/dolmen"
    shutil.copytree(in_lab.store / "debs", store / "debs")
    shutil.copytree(lab.directory / "one", dolmen.directory, dirs_exist_ok=True)
    for path in (subordinate.home, *subordinate.home.rglob("*")):
        os.chown(path, subordinate.uid, subordinate.gid, follow_symlinks=False)
    made = dolmen.json("system", "build", timeout=3000)
    assert made["commit"] == lab.first


def test_an_ordinary_user_without_subordinate_ids_is_told(
    lab: Lab, in_lab: Dolmen, ordinary_user: OrdinaryUser
) -> None:
    if any(ordinary_user.name in Path(p).read_text() for p in ("/etc/subuid", "/etc/subgid")):
        pytest.skip("the user has them from another test")
    dolmen = in_lab.as_user(ordinary_user)
    shutil.copytree(lab.directory / "one", dolmen.directory, dirs_exist_ok=True)
    for path in (dolmen.directory, *dolmen.directory.rglob("*")):
        os.chown(path, ordinary_user.uid, ordinary_user.gid, follow_symlinks=False)
    refused = dolmen("system", "build", "--json", timeout=600)
    assert refused.returncode == 8
    assert b"no-subordinate-ids" in refused.stdout + refused.stderr


def test_one_more_package_shifts_no_number(lab: Lab, in_lab: Dolmen, tmp_path: Path) -> None:
    directory = tmp_path / "machine"
    shutil.copytree(lab.directory / "one", directory)
    before = parse_lock((directory / "dolmen.lock").read_text())
    dolmen = replace(in_lab, directory=directory)
    # Configured before the others that make users, by its name.
    dolmen.ok("install", "avahi-daemon", timeout=900)
    dolmen.ok("system", "build", timeout=1800)
    after = parse_lock((directory / "dolmen.lock").read_text())
    assert set(before.users) < set(after.users)
    assert set(before.groups) < set(after.groups)
    assert "avahi" in dict(after.users)
