"""What is chosen, and what is said when nothing can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.model import Lock, parse_lock, render_lock
from dolmen.support.errors import SolveError
from dolmen.support.events import Event, Notice
from tests.integration.archive.conftest import Deb, Solve
from tests.lib.archive import Archive, Server, Signer


def versions(lock: Lock) -> dict[str, str]:
    return {package.name: package.version for package in lock.packages}


def refusal(solved: Solve, *names: str, **further: object) -> SolveError:
    with pytest.raises(SolveError) as caught:
        solved(*names, **further)
    assert caught.value.exit_code == 4
    assert caught.value.hint
    return caught.value


def test_a_lock_is_complete_and_survives_its_file(solved: Solve, archive: Archive) -> None:
    lock = solved("hello")
    assert parse_lock(render_lock(lock)) == lock
    hello = lock.find("hello")
    assert hello is not None
    (release,) = lock.releases
    assert (release.uri, release.suite) == (f"{archive.uri}/", "stable")
    assert hello.get("Depends") == "libhello (>= 1.0)"
    assert hello.get("Description") == "synthetic package hello"
    assert (archive.root / hello.filename).stat().st_size == hello.size
    assert lock.solver.startswith("apt ")


def test_the_order_of_requests_does_not_matter(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("one", Depends="tool-a | tool-b"), deb("two", Depends="tool-b | tool-a"))
    archive.add(deb("tool-a"), deb("tool-b"))
    archive.publish()
    assert solved("one", "two").packages == solved("two", "one").packages


def test_recommends_only_where_asked_for(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("app", Recommends="nice", Suggests="nicer"), deb("nice"), deb("nicer"))
    archive.publish()
    assert "nice" not in versions(solved("app"))
    found = versions(solved("app", manifest={"recommends": True}))
    assert "nice" in found
    assert "nicer" not in found


def test_a_version_by_number_and_by_suite(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("tool", "1.0"), deb("tool", "1.5"))
    archive.add(deb("tool", "2.0", Depends="tool-data (= 2.0)"), suite="stable-backports")
    archive.add(deb("tool-data", "2.0"), suite="stable-backports")
    archive.add(deb("tool-data", "1.0"))
    archive.publish()
    archive.publish("stable-backports", fields={"NotAutomatic": "yes"})
    sources = [archive.source("stable", "stable-backports")]
    assert versions(solved("tool", sources=sources))["tool"] == "1.5"
    assert versions(solved("tool=1.0", sources=sources))["tool"] == "1.0"
    found = versions(solved("tool/stable-backports", sources=sources))
    assert (found["tool"], found["tool-data"]) == ("2.0", "2.0")

    error = refusal(solved, "tool=3.0", sources=sources)
    assert error.reason == "unknown-version"
    assert "1.5 (stable)" in error.message
    assert "2.0 (stable-backports)" in error.message
    assert refusal(solved, "tool/sid", sources=sources).reason == "unknown-suite"
    assert refusal(solved, "hello/stable-backports", sources=sources).reason == "unknown-version"


def test_unknown_names_and_what_was_meant(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("python3-requests"), deb("ripgrep"))
    archive.publish()
    error = refusal(solved, "ripgerp")
    assert (error.reason, error.hint) == ("unknown-package", "dolmen install ripgrep")
    assert refusal(solved, "requests").hint == "dolmen install python3-requests"
    both = refusal(solved, "zzzzzzzz", "qqqqqqqq")
    assert any("zzzzzzzz" in line for line in (both.message, *both.details))
    assert any("qqqqqqqq" in line for line in (both.message, *both.details))


def test_virtual_packages(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("mta-one", Provides="mta"), deb("only", Provides="single"))
    archive.publish()
    assert "only" in versions(solved("single"))
    assert "mta-one" in versions(solved("mta"))
    archive.add(deb("mta-two", Provides="mta"))
    archive.publish()
    error = refusal(solved, "mta")
    assert error.reason == "virtual-package"
    assert "mta-two" in error.message


def test_foreign_architectures(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(
        deb("libx", "1.0", "amd64", Multi_Arch="same"),
        deb("libx", "1.0", "i386", Multi_Arch="same"),
        deb("game", "1.0", "i386", Depends="libx"),
    )
    archive.publish(fields={"Architectures": "amd64 i386"}, architectures=("amd64", "i386"))
    foreign = {"foreign_architectures": ("i386",)}
    lock = solved("libx", "game:i386", manifest=foreign)
    found = {p.key for p in lock.packages}
    assert {("libx", "amd64"), ("libx", "i386"), ("game", "i386")} <= found
    assert lock.architectures == ("amd64", "i386")
    assert refusal(solved, "game:armhf").reason == "unknown-architecture"
    assert refusal(solved, "game").reason == "unknown-package"


def test_missing_dependency_names_the_chain(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("app", Depends="middle"), deb("middle", Depends="libold (>= 2)"))
    archive.add(deb("libold", "1.4"))
    archive.publish()
    error = refusal(solved, "hello", "app")
    assert error.reason == "unsatisfiable"
    assert "middle 1.0 depends on libold (>= 2)" in error.message
    assert "1.4 (stable)" in error.message
    assert any(line.startswith("app 1.0 depends on middle") for line in error.details)
    assert error.hint == "leave it out: dolmen remove app"


def test_a_conflict_names_both_sides(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("east", Depends="east-lib"), deb("east-lib", Conflicts="west-lib"))
    archive.add(deb("west", Depends="west-lib"), deb("west-lib"))
    archive.publish()
    solved("east")
    solved("west")
    error = refusal(solved, "hello", "east", "west")
    assert error.reason == "unsatisfiable"
    assert "east-lib 1.0 conflicts with west-lib" in error.message
    assert "hello" not in error.message
    assert "west 1.0 depends on west-lib" in error.details


def test_a_conflict_names_nobody_else_though_there_was_no_time_to_look(
    solved: Solve, archive: Archive, deb: Deb
) -> None:
    archive.add(deb("east", Conflicts="west"), deb("west"), deb("zoo"), deb("ant"))
    archive.publish()
    solved("ant", "east", "zoo")
    error = refusal(solved, "ant", "east", "hello", "west", "zoo")
    assert error.message.startswith("east and west cannot be had together: ")
    assert error.hint is not None
    assert error.hint.startswith("leave out east or west; ")


def test_a_version_that_another_request_rules_out(
    solved: Solve, archive: Archive, deb: Deb
) -> None:
    archive.add(deb("lib", "1.0"), deb("lib", "2.0"), deb("app", Depends="lib (>= 2.0)"))
    archive.publish()
    solved("lib=2.0", "app")
    error = refusal(solved, "lib=1.0", "app")
    assert error.reason == "unsatisfiable"
    assert "app 1.0 depends on lib (>= 2.0)" in error.message
    assert "lib 1.0 was chosen" in error.message


def test_pins_hold_what_may_stay(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("app", "1.0"), deb("lib", "1.0"), deb("lib-dev", "1.0", Depends="lib (= 1.0)"))
    archive.publish()
    before = solved("app", "lib")
    archive.add(deb("app", "1.1"), deb("lib", "1.1"), deb("lib-dev", "1.1", Depends="lib (= 1.1)"))
    archive.publish()
    events: list[Event] = []
    kept = versions(solved("app", "lib", "hello", pins=before.packages, emit=events.append))
    assert (kept["app"], kept["lib"]) == ("1.0", "1.0")
    moved = versions(solved("app", "lib", "lib-dev", pins=before.packages, emit=events.append))
    assert moved == versions(before) | {"lib": "1.1", "lib-dev": "1.1"}
    assert sum(isinstance(event, Notice) for event in events) == 1
    free = versions(solved("app", "lib"))
    assert (free["app"], free["lib"]) == ("1.1", "1.1")
    assert versions(solved("app=1.1", pins=before.packages))["app"] == "1.1"


@pytest.fixture
def vendor(server: Server, signer: Signer, deb: Deb) -> Archive:
    """A third party's archive with a key of its own, as ambitious as it can be."""
    made = Archive(server.root / "vendor", signer, f"{server.uri}/vendor")
    made.add(deb("hello", "99:1"), deb("vendor-tool", Depends="libhello"), deb("libhello", "99:1"))
    made.publish("stable", key="unknown", fields={"Origin": "Vendor"})
    return made


def test_another_archive_adds_but_does_not_replace(
    solved: Solve, archive: Archive, vendor: Archive, signer: Signer, tmp_path: Path
) -> None:
    """R14: with a higher version, and even with the suite's own name."""
    key = tmp_path / "vendor.asc"
    key.write_text(signer.export("unknown"))
    sources = [archive.source(), vendor.source(signed_by=str(key))]
    found = versions(solved("hello", "vendor-tool", sources=sources))
    assert (found["hello"], found["libhello"], found["vendor-tool"]) == ("1.0", "1.0", "1.0")
    assert versions(solved("hello=99:1", sources=sources))["hello"] == "99:1"


def test_an_armoured_key_in_the_manifest(solved: Solve, archive: Archive, signer: Signer) -> None:
    lock = solved("hello", sources=[archive.source(signed_by=signer.export("good"))])
    assert lock.packages == solved("hello").packages


def test_a_file_source(solved: Solve, archive: Archive) -> None:
    local = archive.source(uris=(f"file://{archive.root}",))
    lock = solved("hello", sources=[local])
    assert lock.releases[0].uri == f"file://{archive.root}/"
    assert lock.packages == solved("hello").packages
    archive.tamper_indexes()
    assert solved("hello", sources=[local], refresh=False) == lock
