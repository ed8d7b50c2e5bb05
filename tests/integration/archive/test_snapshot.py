"""A source pinned to a moment (R16), served by an archive that keeps its past."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dolmen.archive.snapshot import format_stamp, parse_stamp
from dolmen.model import Sha256
from dolmen.support.errors import ArchiveError
from tests.integration.archive.conftest import Deb, Solve
from tests.lib.archive import Archive, Server, Signer

STAMP = "20260101T120000Z"
THEN = parse_stamp(STAMP)


@pytest.fixture
def past(server: Server, signer: Signer, deb: Deb, base_debs: tuple[Path, ...]) -> Archive:
    """The archive as it was at STAMP, where the snapshot service serves it."""
    root = server.root / "snap/archive/debian" / STAMP
    made = Archive(root, signer, f"{server.uri}/snap/archive/debian/{STAMP}")
    made.add(*base_debs, deb("hello", "0.1"))
    made.publish(date=THEN - timedelta(hours=3), valid=timedelta(days=7))
    return made


def test_a_pinned_source(solved: Solve, archive: Archive, past: Archive, server: Server) -> None:
    """Expired by now, but valid then; and the newest Release file seen does not forbid it."""
    assert solved("hello").find("hello").version == "1.0"  # type: ignore[union-attr]
    pinned = archive.source(snapshot=STAMP)
    service = f"{server.uri}/snap"
    lock = solved("hello", sources=[pinned], snapshots=service)
    assert lock.find("hello").version == "0.1"  # type: ignore[union-attr]
    assert lock.releases[0].uri == f"{past.uri}/"
    count = len(server.requests)
    assert solved("hello", sources=[pinned], snapshots=service, refresh=None) == lock
    assert len(server.requests) == count
    # the present is not forgotten either
    archive.publish(date=THEN)
    with pytest.raises(ArchiveError) as caught:
        solved("hello")
    assert caught.value.reason == "mirror-went-backwards"


def test_the_service_is_a_setting(
    solved: Solve,
    archive: Archive,
    past: Archive,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pinned = archive.source(snapshot=STAMP)
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[pinned])
    assert caught.value.reason == "no-snapshot-service"
    monkeypatch.setenv("DOLMEN_SNAPSHOTS", f"{server.uri}/snap/")
    assert solved("hello", sources=[pinned]).packages


def test_only_the_pinned_source_may_be_expired(
    solved: Solve, archive: Archive, past: Archive, server: Server
) -> None:
    service = f"{server.uri}/snap"
    sources = [archive.source(snapshot=STAMP), archive.source(components=("main", "more"))]
    solved("hello", sources=sources, snapshots=service)
    archive.publish(date=THEN, valid=timedelta(days=7))
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=sources, snapshots=service)
    assert caught.value.reason == "release-expired"


@pytest.mark.parametrize(
    ("date", "valid", "reason"),
    [
        (THEN - timedelta(days=30), timedelta(days=7), "release-expired"),
        (THEN + timedelta(days=1), timedelta(days=7), "release-future"),
    ],
)
def test_a_service_that_serves_another_moment(
    solved: Solve,
    archive: Archive,
    past: Archive,
    server: Server,
    tmp_path: Path,
    date: datetime,
    valid: timedelta,
    reason: str,
) -> None:
    """Accepted only when a lock already vouches for that very file."""
    pinned = archive.source(snapshot=STAMP)
    service = f"{server.uri}/snap"
    lock = solved("hello", sources=[pinned], snapshots=service)
    past.publish(date=date, valid=valid)
    new = tmp_path / "another-state"
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[pinned], snapshots=service, where=new)
    assert caught.value.reason == reason
    digest = hashlib.sha256(past.inrelease().read_bytes()).hexdigest()
    known = dataclasses.replace(lock.releases[0], sha256=Sha256(digest))
    again = solved("hello", sources=[pinned], snapshots=service, releases=[known], where=new)
    assert again.packages == lock.packages


def test_a_pinned_source_is_still_verified(
    solved: Solve, archive: Archive, past: Archive, server: Server
) -> None:
    pinned = archive.source(snapshot=STAMP)
    service = f"{server.uri}/snap"
    solved("hello", sources=[pinned], snapshots=service)
    past.publish(date=THEN, key="unknown")
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[pinned], snapshots=service)
    assert caught.value.reason == "key-unknown"


def test_stamps() -> None:
    assert format_stamp(parse_stamp(STAMP)) == STAMP
    with pytest.raises(ValueError, match="does not match"):
        parse_stamp("20261301T000000Z")
