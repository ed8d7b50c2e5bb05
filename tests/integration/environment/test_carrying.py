"""A trial with the archive's own apt is committed, resumed, and carried to another store."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.support.run import run
from tests.integration.environment.test_trying import begun as begun
from tests.integration.environment.test_trying import live, mine, refused
from tests.lib.command import Dolmen

pytestmark = pytest.mark.network

__all__ = ["begun", "mine"]

_WORK = """
set -e
apt-get install -y -q sl >/dev/null 2>&1
echo edited >>/etc/debconf.conf
rm -r /usr/share/doc/jq
mkdir -p /opt/mine/deep && echo kept >/opt/mine/deep/file && chmod 700 /opt/mine
ln -s /nowhere /opt/link
"""


def image_of(dolmen: Dolmen, trial: str) -> str:
    """The image that keeping a trial as it is gives; the environment is as before then."""
    dolmen.ok("keep", "--as-is", "--name", trial)
    image = str(live(dolmen)["image"])
    dolmen.ok("rollback")
    return image


def test_here_and_elsewhere(mine: Dolmen, tmp_path: Path) -> None:
    mine.ok("try", "--", "sh", "-c", _WORK)
    done = mine.json("try", "--commit", "-s", "With a locomotive", "-b", "trial/mine")
    assert done["changed"]
    assert not mine.json("try", "--commit", "-b", "trial/mine")["changed"]
    changes = mine.ok("store", "diff", "trial/mine^", "trial/mine").splitlines()
    assert "A    /usr/games/sl" in changes
    assert "M    /etc/debconf.conf" in changes
    assert "D    /usr/share/doc/jq" in changes
    # Somebody is in it: what runs is not frozen.
    with mine.started("try", "--", "sh", "-c", "echo in; sleep 60") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        assert refused(mine, "try", "--commit") == (11, "trial-running")
    # Here, beside the first.
    mine.ok("try", "--resume", "trial/mine", "--name", "again")
    listed = {one["name"]: one["changes"] for one in mine.json("try", "--list")}
    assert listed["again"]["added"] == listed["trial"]["added"]
    script = "command -v sl; cat /opt/mine/deep/file; ls /usr/share/doc/jq 2>&1"
    inside = mine("try", "--name", "again", "--", "sh", "-c", script).stdout
    assert inside.startswith(b"/usr/games/sl\nkept\n")
    image = image_of(mine, "again")
    file = tmp_path / "trial.tar"
    mine.ok("try", "--export", file)
    assert image_of(mine, "trial") == image
    # Elsewhere: another store, the same lock, and no archive is asked for what lies below.
    there = replace(mine, directory=tmp_path / "there", store=tmp_path / "other")
    there.directory.mkdir()
    for name in ("dolmen.toml", "dolmen.lock"):
        shutil.copy(mine.directory / name, there.directory / name)
    assert mine.store is not None
    (tmp_path / "other").mkdir()
    there.ok("gc")  # makes the store
    shutil.copytree(mine.store / "debs", tmp_path / "other/debs", dirs_exist_ok=True)
    there.ok("sync", "--locked")
    there.ok("try", "--import", file)
    there.ok("try", "--", "apt-get", "install", "-f", "-y", "-q", "--no-download")
    assert image_of(there, "trial") == image
    fsck = ["ostree", f"--repo={tmp_path / 'other/repo'}", "fsck", "-q"]
    assert run(fsck, timeout=300).ok
    # What was pushed is gone with its ref, and only then.
    there.ok("gc", "--grace", "0s")
    assert there.ok("store", "log", "trial/project/trial").count("commit ") == 2
