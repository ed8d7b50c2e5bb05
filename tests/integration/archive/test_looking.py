"""The catalogue and the lists of files, from a signed archive on loopback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dolmen.archive import catalogue, contents
from dolmen.archive.descriptions import description
from dolmen.model import Manifest
from dolmen.model.pin import Pin
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Event, Notice
from tests.integration.archive.conftest import Deb
from tests.lib.archive import ARCHITECTURE, Archive, Server

FILES = {
    "bin/hello": "main/hello",
    "usr/include/hello.h": "libs/libhello,libs/hello",
    "usr/share/doc/hello/README": "main/hello",
}


@pytest.fixture
def manifest(archive: Archive) -> Manifest:
    return Manifest("stable", sources=(archive.source(),), architecture=ARCHITECTURE)


@pytest.fixture
def listed(archive: Archive) -> Archive:
    archive.publish(files=FILES)
    return archive


def reason(call: Any, *arguments: Any, **further: Any) -> str:
    with pytest.raises(ArchiveError) as caught:
        call(*arguments, **further)
    return caught.value.reason


def test_the_index_is_fetched_once_and_then_searched_offline(
    manifest: Manifest, server: Server, state: Path
) -> None:
    found = catalogue(manifest, state=state)
    assert [offer.name for offer in found.search(["hello"])[1]] == ["hello", "libhello"]
    count = len(server.requests)
    assert catalogue(manifest, state=state).search(["hello"])[0] == 2
    assert len(server.requests) == count


def test_news_are_asked_for(
    manifest: Manifest, archive: Archive, deb: Deb, state: Path, server: Server
) -> None:
    assert [o.version for o in catalogue(manifest, state=state).offers("hello")] == ["1.0"]
    archive.add(deb("hello", "2.0", Depends="libhello"), deb("fresh", Provides="greeting (= 1)"))
    archive.publish()
    assert [o.version for o in catalogue(manifest, state=state).offers("hello")] == ["1.0"]
    found = catalogue(manifest, state=state, refresh=True)
    assert [(o.version, o.chosen) for o in found.offers("hello")] == [("2.0", True), ("1.0", False)]
    assert [o.name for o in found.providers("greeting")] == ["fresh"]
    assert "Depends: libhello" in found.stanza(found.offers("hello")[0])


def test_what_would_be_installed_is_marked(archive: Archive, deb: Deb, state: Path) -> None:
    """A suite that is not automatic has the newer version, and is not chosen."""
    archive.add(deb("hello", "3.0", Depends="libhello"), suite="stable-backports")
    archive.publish("stable-backports", fields={"NotAutomatic": "yes"})
    sources = (archive.source("stable", "stable-backports"),)
    manifest = Manifest("stable", sources=sources, architecture=ARCHITECTURE)
    found = catalogue(manifest, state=state).offers("hello")
    assert [(o.version, o.suite, o.chosen) for o in found] == [
        ("1.0", "stable", True),
        ("3.0", "stable-backports", False),
    ]


def test_a_pin_of_the_manifest_decides(archive: Archive, deb: Deb, state: Path) -> None:
    archive.add(deb("hello", "0.5", Depends="libhello"))
    archive.publish()
    plain = Manifest("stable", sources=(archive.source(),), architecture=ARCHITECTURE)
    pinned = replace(plain, pins=(Pin("hello", version="0.5"),))
    for _again in range(2):
        assert catalogue(plain, state=state).offers("hello")[0].version == "1.0"
        assert catalogue(pinned, state=state).offers("hello")[0].version == "0.5"


def test_a_damaged_catalogue_is_made_again(manifest: Manifest, state: Path) -> None:
    catalogue(manifest, state=state)
    (path,) = state.glob("*/catalogue.*")
    path.write_bytes(path.read_bytes()[:-5])
    assert catalogue(manifest, state=state).search(["hello"])[0] == 2
    (stamp,) = state.glob("*/index.json")
    stamp.write_text("{")
    assert catalogue(manifest, state=state).search(["hello"])[0] == 2


def test_text_of_packages_is_one_line(
    archive: Archive, deb: Deb, manifest: Manifest, state: Path
) -> None:
    archive.add(deb("odd", Description="tab\there \x1b[31m and\u202e more\n second line"))
    archive.publish()
    (offer,) = catalogue(manifest, state=state).offers("odd")
    assert "second" not in offer.description
    assert all(character.isprintable() for character in offer.description)


def test_files_are_listed(listed: Archive, manifest: Manifest, state: Path, server: Server) -> None:
    assert contents(manifest, state=state, fetching=False) is None
    with contents(manifest, state=state) as found:
        assert [(f.package, f.path) for f in found.named("hello")] == [("hello", "usr/bin/hello")]
        assert {f.package for f in found.named("hello.h")} == {"hello", "libhello"}
        assert [f.path for f in found.commands("he")] == ["usr/bin/hello"]
        assert found.complete
    count = len(server.requests)
    again = contents(manifest, state=state, fetching=False)
    assert again is not None
    again.close()
    assert len(server.requests) == count
    assert not list(state.glob("*/contents/*.deb"))


def test_by_name_where_the_mirror_has_no_hashes(
    listed: Archive, manifest: Manifest, state: Path, server: Server
) -> None:
    for path in listed.root.rglob("dists/stable/main/by-hash/SHA256/*"):
        path.unlink()
    with contents(manifest, state=state) as found:
        assert found.named("hello")
    assert server.count("Contents-amd64.gz") == 1


def test_what_was_tampered_with_is_refused(
    listed: Archive, manifest: Manifest, state: Path
) -> None:
    good = state / "good"
    contents(manifest, state=good).close()
    catalogue(manifest, state=state)
    for path in listed.root.rglob("dists/stable/main/**/*"):
        if path.is_file() and "Packages" not in path.name:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    assert reason(contents, manifest, state=state) in ("hash-mismatch", "bad-index")
    assert contents(manifest, state=state, fetching=False) is None


def test_no_list_at_all(archive: Archive, manifest: Manifest, state: Path) -> None:
    assert reason(contents, manifest, state=state) == "no-contents"


def test_a_part_that_cannot_be_had_is_told(
    archive: Archive, listed: Archive, deb: Deb, state: Path
) -> None:
    archive.add(deb("extra"), suite="stable-updates")
    archive.publish("stable-updates", files={"usr/bin/extra": "main/extra"})
    for path in archive.root.rglob("dists/stable-updates/main/Contents*"):
        path.unlink()
    hashed = archive.root / "dists/stable-updates/main/by-hash/SHA256"
    for path in hashed.iterdir():
        path.unlink()
    sources = (archive.source("stable", "stable-updates"),)
    manifest = Manifest("stable", sources=sources, architecture=ARCHITECTURE)
    events: list[Event] = []
    with contents(manifest, state=state, emit=events.append) as found:
        assert found.named("hello")
        assert not found.complete
    assert [e.level for e in events if isinstance(e, Notice)] == ["warning"]


def test_newer_lists_replace_the_old(listed: Archive, manifest: Manifest, state: Path) -> None:
    contents(manifest, state=state).close()
    listed.publish(files={**FILES, "usr/bin/new": "main/fresh"})
    with contents(manifest, state=state) as found:
        assert not found.named("new")
    with contents(manifest, state=state, refresh=True) as found:
        assert found.named("new")
    assert len(list(state.glob("*/contents/*.names"))) == 1


def test_an_old_index_is_renewed_where_the_mirror_has_moved_on(
    listed: Archive, manifest: Manifest, state: Path
) -> None:
    catalogue(manifest, state=state)
    listed.publish(files={**FILES, "usr/bin/new": "main/fresh"})
    with contents(manifest, state=state) as found:
        assert found.named("new")


TEXT = """\
Package: hello
Description-md5: 0123
Description-en: says hello
 In many words.
 .
 And more.

Package: libhello
Description-md5: 4567
Description-en: others
 Not these.
"""


def test_long_descriptions(
    archive: Archive, manifest: Manifest, state: Path, server: Server
) -> None:
    archive.publish(descriptions=TEXT)
    found = description(manifest, "hello", "0123", state=state)
    assert found == "says hello\n In many words.\n .\n And more."
    count = len(server.requests)
    assert description(manifest, "libhello", "4567", state=state).endswith("Not these.")
    assert description(manifest, "libhello", "0123", state=state) == ""
    assert len(server.requests) == count


def test_nobody_waits_twice_for_a_description(
    archive: Archive, manifest: Manifest, state: Path, server: Server
) -> None:
    assert reason(description, manifest, "hello", "0123", state=state) == "no-contents"
    archive.publish(descriptions=TEXT)
    count = len(server.requests)
    assert description(manifest, "hello", "0123", state=state) == ""
    assert len(server.requests) == count
    assert description(manifest, "hello", "0123", state=state, refresh=True)
