"""Building again elsewhere, by somebody else: the same commit, and numbers that never move."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
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
def subordinate(ordinary_user: OrdinaryUser) -> Iterator[OrdinaryUser]:
    """The session's ordinary user, with subordinate ids for the time of a test."""
    tables = (Path("/etc/subuid"), Path("/etc/subgid"))
    line = SUBORDINATE.format(name=ordinary_user.name)
    for table in tables:
        with table.open("a") as stream:
            stream.write(line)
    yield ordinary_user
    for table in tables:
        table.write_text(table.read_text().replace(line, ""))


def own(user: OrdinaryUser, top: Path) -> None:
    """Give a user a directory and all in it."""
    for path in (top, *top.rglob("*")):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def test_an_ordinary_user_builds_the_same_commit(
    lab: Lab, in_lab: Dolmen, subordinate: OrdinaryUser
) -> None:
    dolmen = in_lab.as_user(subordinate)
    assert in_lab.store is not None
    store = subordinate.home / ".local/share/dolmen"
    shutil.copytree(in_lab.store / "debs", store / "debs")
    lab.copy_first(dolmen.directory)
    own(subordinate, subordinate.home)
    made = dolmen.json("system", "build", timeout=3000)
    assert made["commit"] == lab.first


def test_an_ordinary_user_without_subordinate_ids_is_told(
    lab: Lab, in_lab: Dolmen, ordinary_user: OrdinaryUser
) -> None:
    dolmen = in_lab.as_user(ordinary_user)
    # Not the store of the test above, which has the image already.
    dolmen = replace(dolmen, store=dolmen.directory / "store")
    lab.copy_first(dolmen.directory)
    own(ordinary_user, dolmen.directory)
    refused = dolmen("system", "build", "--json", timeout=600)
    assert refused.returncode == 8
    assert b"no-subordinate-ids" in refused.stdout + refused.stderr


def test_one_more_package_shifts_no_number(lab: Lab, in_lab: Dolmen, tmp_path: Path) -> None:
    directory = lab.copy_first(tmp_path / "machine")
    before = parse_lock((directory / "dolmen.lock").read_text())
    dolmen = replace(in_lab, directory=directory)
    # Configured before the others that make users, by its name.
    dolmen.ok("install", "avahi-daemon", timeout=900)
    dolmen.ok("system", "build", timeout=1800)
    after = parse_lock((directory / "dolmen.lock").read_text())
    assert set(before.users) < set(after.users)
    assert set(before.groups) < set(after.groups)
    assert "avahi" in dict(after.users)


def test_one_lock_makes_one_image_and_one_disk(lab: Lab, in_lab: Dolmen, tmp_path: Path) -> None:
    assert in_lab.store is not None
    store = tmp_path / "store"
    shutil.copytree(in_lab.store / "debs", store / "debs")
    other = replace(in_lab, store=store)
    place = lab.copy_first(tmp_path / "one")
    # The lab's disk was written when its image was there, this one while it is made.
    argv = ("system", "image", "-o", str(tmp_path / "disk.raw"))
    assert other.json(*argv, cwd=place, timeout=1800)["commit"] == lab.first
    with (tmp_path / "disk.raw").open("rb") as again, lab.disk.open("rb") as before:
        assert digest(again) == digest(before)


def digest(stream: io.BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()
