"""What the user's settings say to the archive room."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.archive.snapshot import snapshot_uri
from dolmen.environment.configuring import change_setting
from tests.integration.archive.conftest import Solve
from tests.lib.archive import Archive, Server

STAMP = "20240101T000000Z"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLMEN_CONFIG", str(tmp_path / "config.toml"))


def test_the_age_of_an_index(archive: Archive, solved: Solve, server: Server) -> None:
    solved("hello")
    before = server.count("InRelease")
    solved("hello", refresh=None)
    assert server.count("InRelease") == before
    change_setting("refresh-age", "0s")
    solved("hello", refresh=None)
    assert server.count("InRelease") > before
    before = server.count("InRelease")
    solved("hello", refresh=False)
    assert server.count("InRelease") == before


def test_the_snapshot_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert snapshot_uri("http://h/debian", STAMP) is None
    change_setting("snapshots", "https://snapshots.invalid/")
    wanted = f"https://snapshots.invalid/archive/debian/{STAMP}/"
    assert snapshot_uri("http://h/debian", STAMP) == wanted
    monkeypatch.setenv("DOLMEN_SNAPSHOTS", "https://other.invalid")
    assert snapshot_uri("http://h/debian", STAMP) == wanted.replace("snapshots", "other")
