"""A source pinned to a moment (R16), served by an archive that keeps its past."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dolmen.archive.snapshot import format_stamp, parse_stamp
from dolmen.model import Sha256, parse_lock, render_lock
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


def test_a_cool_down(
    solved: Solve, archive: Archive, server: Server, signer: Signer, deb: Deb, base_debs: Any
) -> None:
    """What is newer than the age is not seen, but for -security; the lock says which day it was."""
    stamp = format_stamp(datetime.now(UTC) - timedelta(days=14))[:9] + "000000Z"
    then = parse_stamp(stamp)
    root = server.root / "snap/archive/debian" / stamp
    past = Archive(root, signer, f"{server.uri}/snap/archive/debian/{stamp}")
    past.add(*base_debs, deb("hello", "0.1"), deb("tool", "0.1"))
    past.publish(date=then - timedelta(hours=3))
    archive.add(deb("tool", "2.0"), deb("hello", "2.0"))
    archive.publish()
    archive.add(deb("tool", "0.2"), suite="stable-security")
    archive.publish("stable-security")
    source = archive.source("stable", "stable-security")
    # as Debian's own: verified by the keyring that is its default
    manifest = {"snapshot": "14d"}
    keyring = server.root / "debian-archive-keyring.gpg"
    keyring.write_bytes(signer.keyring.read_bytes())
    source = dataclasses.replace(source, signed_by=str(keyring))
    service = f"{server.uri}/snap"
    lock = solved("hello", "tool", sources=[source], manifest=manifest, snapshots=service)
    assert {p.name: p.version for p in lock.packages if p.requested} == {
        "hello": "0.1",
        "tool": "0.2",
    }
    assert lock.snapshots == (("14d", stamp),)
    assert parse_lock(render_lock(lock)) == lock
    # another day it is the same as long as the lock's moment is kept
    kept = manifest | {"snapshot": "13d", "ages": (("13d", stamp),)}
    again = solved("hello", "tool", sources=[source], manifest=kept, snapshots=service)
    assert again.packages == lock.packages
    assert solved("hello", sources=[source]).find("hello").version == "2.0"  # type: ignore[union-attr]
