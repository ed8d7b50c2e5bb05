"""What an archive may do to us (table R), each refusal after its honest twin was accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dolmen.model import parse_lock, render_lock
from dolmen.support.errors import ArchiveError, DolmenError
from dolmen.support.events import Event, Notice
from tests.integration.archive.conftest import Solve
from tests.lib.archive import Archive

NOW = datetime.now(UTC)


def names(lock: object) -> list[str]:
    return [package.name for package in lock.packages]  # type: ignore[attr-defined]


BASE = ["base-c", "base-core", "base-shell"]


def test_an_honest_archive(solved: Solve) -> None:
    lock = solved("hello")
    assert names(lock) == [*BASE, "hello", "libhello"]
    assert [p.name for p in lock.packages if p.requested] == ["hello"]
    assert [p.name for p in lock.packages if p.essential] == ["base-core", "base-shell"]


def refused(solved: Solve, reason: str) -> DolmenError:
    with pytest.raises(DolmenError) as caught:
        solved("hello")
    assert caught.value.reason == reason, (caught.value.message, caught.value.details)
    assert caught.value.exit_code == ArchiveError.exit_code
    return caught.value


def test_expired_release(solved: Solve, archive: Archive) -> None:
    """R1: a stale mirror, or a freeze attack."""
    archive.publish(date=NOW - timedelta(days=3), valid=timedelta(days=7))
    solved("hello")
    archive.publish(date=NOW - timedelta(days=2), valid=timedelta(days=1))
    refused(solved, "release-expired")


def test_age_limit_of_a_source(solved: Solve, archive: Archive) -> None:
    """R2: apt itself accepts any age without Valid-Until."""
    archive.publish(date=NOW - timedelta(days=400))
    solved("hello")
    limited = archive.source(valid_until_max=30 * 86400)
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[limited])
    assert caught.value.reason == "release-expired"


def test_release_from_the_future(solved: Solve, archive: Archive) -> None:
    """R3."""
    archive.publish(date=NOW + timedelta(seconds=2))
    solved("hello")
    archive.publish(date=NOW + timedelta(days=2))
    refused(solved, "release-future")


def test_older_release_with_warm_lists(solved: Solve, archive: Archive) -> None:
    """R4: apt keeps the newer lists and says nothing."""
    archive.publish(date=NOW - timedelta(days=1))
    first = solved("hello")
    archive.publish(date=NOW - timedelta(days=2))
    refused(solved, "mirror-went-backwards")
    assert solved("hello", refresh=False) == first


def test_older_release_in_a_new_directory(
    solved: Solve, archive: Archive, state: Path, tmp_path: Path
) -> None:
    """R5: another source set has no lists, but the store remembers."""
    archive.publish(date=NOW - timedelta(days=1))
    solved("hello")
    archive.publish(date=NOW - timedelta(days=2))
    again = archive.source(components=("main", "extra"))
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[again])
    assert caught.value.reason == "mirror-went-backwards"
    solved("hello", sources=[again], where=tmp_path / "another-store")


def test_expired_key(solved: Solve, archive: Archive) -> None:
    """R6."""
    solved("hello")
    archive.publish(key="expired")
    refused(solved, "key-expired")


def test_unknown_key(solved: Solve, archive: Archive) -> None:
    """R7."""
    solved("hello")
    archive.publish(key="unknown")
    refused(solved, "key-unknown")


def test_unsigned(solved: Solve, archive: Archive) -> None:
    """R7: never signed; the directory is fresh."""
    archive.publish(key=None)
    refused(solved, "release-unsigned")
    archive.publish()
    solved("hello")


def test_signature_removed_later(solved: Solve, archive: Archive) -> None:
    """R7."""
    solved("hello")
    archive.strip_signature()
    refused(solved, "release-unsigned")


def test_bad_signature(solved: Solve, archive: Archive) -> None:
    """R7: the signed text was changed."""
    solved("hello")
    path = archive.inrelease()
    path.write_text(path.read_text().replace("Label: Test", "Label: Fake"))
    refused(solved, "signature-bad")


def test_index_changed_after_signing(solved: Solve, archive: Archive) -> None:
    """R8; a failed update leaves the index before in use."""
    first = solved("hello")
    archive.entries["stable"][0]["Description"] = "something else"
    archive.publish(date=NOW - timedelta(minutes=1))
    archive.tamper_indexes()
    refused(solved, "hash-mismatch")
    assert solved("hello", refresh=False) == first


def test_mirror_in_mid_sync(solved: Solve, archive: Archive) -> None:
    """R9: a new Release file with old indexes, no by-hash to fall back to."""
    solved("hello")
    kept = {path: path.read_bytes() for path in archive.indexes() if "by-hash" not in path.parts}
    archive.entries["stable"][0]["Description"] = "something else"
    archive.publish(date=NOW - timedelta(minutes=1), by_hash=False)
    for path, content in kept.items():
        path.write_bytes(content)
    refused(solved, "hash-mismatch")


def test_only_weak_hashes(solved: Solve, archive: Archive) -> None:
    """R11: in the Release file."""
    solved("hello")
    archive.publish(hashes=("MD5Sum", "SHA1"))
    refused(solved, "weak-hashes")


def test_only_weak_hashes_in_the_index(solved: Solve, archive: Archive) -> None:
    """R11: in a package's stanza."""
    solved("hello")
    archive.publish(packages=lambda text: text.replace("SHA256:", "MD5sum:"))
    refused(solved, "weak-hashes")


@pytest.mark.parametrize(
    "path",
    ["../../../etc/cron.d/x", "/etc/cron.d/x", "pool/%2e%2e/%2e%2e/x", "pool/a b", "", "pool//x"],
)
def test_filename_that_leaves_the_pool(solved: Solve, archive: Archive, path: str) -> None:
    """R12."""
    solved("hello")
    for entry in archive.entries["stable"]:
        if entry["Package"] == "hello":
            entry["Filename"] = path
    archive.publish()
    refused(solved, "bad-index")


def test_control_characters_do_not_reach_the_lock(solved: Solve, archive: Archive) -> None:
    """R12, D6."""
    for entry in archive.entries["stable"]:
        entry["Description"] = "evil \x1b]0;title\x07 \u202etext"
    archive.publish()
    for package in solved("hello").packages:
        assert all(c.isprintable() for _name, value in package.fields for c in value)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: text.replace("Description:", "X-Long: " + "x" * 70_000 + "\nDescription:"),
        lambda text: text + "\n\n\n",
        lambda text: text.replace("Version: 1.0", "Version: 1.0\x00"),
        lambda text: text.replace("Package: hello", "Package: hel/lo"),
        lambda text: text.replace("Depends: libhello (>= 1.0)", "Depends: libhello (>= 1.0"),
        lambda text: text.replace("Package: hello", "Pakcage: hello"),
        lambda text: text.replace("Version: 1.0", "Version: " + "1" * 5000),
        lambda text: text.replace("synthetic", "\udcff"),
        lambda text: "\x00" * 1000,
        lambda text: text.replace("Depends: ", "Depends: " + "a | " * 40_000),
    ],
)
def test_strange_indexes(solved: Solve, archive: Archive, mangle: Callable[[str], str]) -> None:
    """R12: signed, but nothing that Debian would make; an error or an answer, never a crash."""
    solved("hello")
    archive.publish(packages=mangle)
    reason = "answered"
    try:
        lock = solved("hello")
    except DolmenError as error:
        reason = error.reason
    else:
        assert parse_lock(render_lock(lock)) == lock
    expected = ("answered", "bad-index", "unknown-package", "unsatisfiable", "weak-hashes")
    assert reason in expected


@pytest.mark.parametrize("field", ["Origin", "Label", "Codename"])
def test_archive_changes_its_identity(solved: Solve, archive: Archive, field: str) -> None:
    """R13."""
    solved("hello")
    archive.publish(fields={field: "other"})
    refused(solved, "release-changed")


def test_no_such_suite(solved: Solve, archive: Archive) -> None:
    solved("hello")
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[archive.source("stable", "nonesuch")])
    assert caught.value.reason == "no-such-suite"


def test_nobody_listens(solved: Solve, archive: Archive) -> None:
    first = solved("hello")
    dead = archive.source(uris=("http://127.0.0.1:1/debian",))
    with pytest.raises(ArchiveError) as caught:
        solved("hello", sources=[dead])
    assert caught.value.reason == "network"
    assert solved("hello", refresh=False) == first


def test_an_index_that_the_mirror_lost(solved: Solve, archive: Archive) -> None:
    solved("hello")
    archive.entries["stable"][0]["Description"] = "something else"
    archive.publish(date=NOW)
    for path in archive.indexes():
        path.unlink()
    refused(solved, "mirror-gone")


def test_what_a_suite_does_not_offer_is_said(solved: Solve, archive: Archive) -> None:
    """apt skips it without a word that we could see."""
    events: list[Event] = []
    wanted = archive.source(components=("main", "contrb"))
    assert solved("hello", sources=[wanted], emit=events.append).packages
    (notice,) = (event for event in events if isinstance(event, Notice))
    assert notice.level == "warning"
    assert "component contrb" in notice.message
    events.clear()
    solved("hello", manifest={"foreign_architectures": ("s390x",)}, emit=events.append)
    assert any("architecture s390x" in e.message for e in events if isinstance(e, Notice))


def test_sources_without_a_base(solved: Solve, archive: Archive) -> None:
    solved("hello")
    archive.entries["stable"] = [e for e in archive.entries["stable"] if "Essential" not in e]
    archive.publish()
    refused(solved, "no-essential")
