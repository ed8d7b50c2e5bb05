"""A real Debian is adopted: what is written can be solved and builds the like of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dolmen.model import parse_lock, parse_manifest
from tests.lib.command import Dolmen

pytestmark = [pytest.mark.root, pytest.mark.network]


def test_a_bootstrapped_root(archive_command: Dolmen, public_directory: Path) -> None:
    root = public_directory / "adopted"
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=essential", "--include=apt,cron,jq,tzdata"),
            *("bookworm", str(root)),
        ],
        check=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    (root / "etc/hostname").write_text("adopted\n")
    crontab = root / "etc/crontab"
    crontab.write_text(crontab.read_text() + "# mine\n")
    crontab.chmod(0o600)
    said = archive_command.json("system", "adopt", f"--root={root}")
    assert said["files"] == ["/etc/crontab"]
    directory = archive_command.directory
    manifest = parse_manifest((directory / "dolmen.toml").read_text())
    names = {spec.name for spec in manifest.packages}
    assert "jq" in names
    assert not names & {"libc6", "libjq1", "dpkg", "apt"}
    archive_command.ok("lock")
    lock = parse_lock((directory / "dolmen.lock").read_text())
    there = {package.name for package in lock.packages}
    assert {"jq", "cron", "tzdata", "linux-image-amd64"} <= there
