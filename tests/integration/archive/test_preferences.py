"""Priorities, pins and groups: what the manifest says beyond names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dolmen.archive import solve
from dolmen.model import Lock, Manifest, parse_lock, render_lock
from dolmen.model.manifest import parse_manifest
from dolmen.model.pin import parse_pin
from dolmen.support.errors import SolveError
from tests.integration.archive.conftest import Deb, Solve
from tests.lib.archive import ARCHITECTURE, Archive, Server, Signer


def versions(lock: Lock) -> dict[str, str]:
    return {package.name: package.version for package in lock.packages}


def pins(**values: str | int) -> dict[str, Any]:
    found = [parse_pin(name.replace("_", "-").replace("X", "*"), v) for name, v in values.items()]
    assert all(found)
    return {"pins": tuple(found)}


@pytest.fixture
def vendor(server: Server, signer: Signer, deb: Deb) -> Archive:
    """Somebody else's archive with a shell of a tempting version."""
    made = Archive(server.root / "vendor", signer, f"{server.uri}/vendor")
    made.add(deb("base-shell", "99:1", Essential="yes"), deb("hello", "99:1"))
    made.add(deb("app", "3.0", Depends="hello"), deb("app-data", "3.0"))
    made.publish(fields={"Origin": "Vendor", "Label": "Vendor"})
    return made


def test_versions_are_pinned_with_patterns(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("tool", "1.0"), deb("tool", "1.5"), deb("tool", "2.0"))
    archive.add(deb("user", Depends="tool"))
    archive.publish()
    assert versions(solved("user"))["tool"] == "2.0"
    assert versions(solved("user", manifest=pins(tool="=1.*")))["tool"] == "1.5"
    assert versions(solved("user", manifest=pins(tool="=1.0")))["tool"] == "1.0"
    assert versions(solved("user", manifest=pins(toX="=1.*")))["tool"] == "1.5"
    # a name wins over a pattern, a request over both
    assert versions(solved("user", manifest=pins(tool="=1.0", toX="=1.5")))["tool"] == "1.0"
    assert versions(solved("user", "tool=2.0", manifest=pins(tool="=1.0")))["tool"] == "2.0"
    # with a lower priority than the archive's it is only a wish
    assert versions(solved("user", manifest=pins(tool="=1.0 400")))["tool"] == "2.0"


def test_a_pin_that_nothing_meets_is_an_error(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("tool", "1.0"))
    archive.publish()
    assert solved("tool", manifest=pins(tool="=1.*"))
    with pytest.raises(SolveError) as caught:
        solved("tool", manifest=pins(tool="=3.*"))
    assert (caught.value.reason, caught.value.exit_code) == ("pin-unmet", 4)
    assert "1.0 (stable)" in caught.value.message
    with pytest.raises(SolveError) as caught:
        solved("tool", manifest=pins(tool="/sid"))
    assert caught.value.reason == "unknown-suite"
    # packages that are nowhere, and patterns, may be pinned in advance
    assert solved("tool", manifest=pins(absent="=3.*", absX="=3"))


def test_never(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("one", Depends="tool-a | tool-b"), deb("tool-a"), deb("tool-b"))
    archive.publish()
    assert "tool-a" in versions(solved("one"))
    found = versions(solved("one", manifest=pins(tool_a=-1)))
    assert "tool-b" in found
    assert "tool-a" not in found
    with pytest.raises(SolveError):
        solved("one", manifest=pins(toolX=-1))


def test_a_suite_is_pinned(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("tool", "1.0"), deb("other", "1.0"), deb("user", Depends="tool, other"))
    archive.add(deb("tool", "2.0"), deb("other", "2.0"), suite="stable-backports")
    archive.publish()
    archive.publish("stable-backports", fields={"NotAutomatic": "yes"})
    sources = [archive.source("stable", "stable-backports")]
    assert versions(solved("user", sources=sources))["tool"] == "1.0"
    found = versions(solved("user", sources=sources, manifest=pins(tool="/stable-backports")))
    assert (found["tool"], found["other"]) == ("2.0", "1.0")
    found = versions(solved("user", sources=sources, manifest=pins(toX="/stable-backports 990")))
    assert (found["tool"], found["other"]) == ("2.0", "1.0")
    # several suites, one of them for all: the source's priority
    split = [archive.source("stable"), archive.source("stable-backports", priority=600)]
    found = versions(solved("user", sources=split))
    assert (found["tool"], found["other"]) == ("2.0", "2.0")


def test_a_vendor_adds_packages_and_replaces_none(
    solved: Solve, archive: Archive, vendor: Archive, signer: Signer
) -> None:
    """R14: taking over needs the manifest's word, for a package or for the whole source."""
    key = {"signed_by": signer.export("good"), "name": "vendor"}
    sources = [archive.source(), vendor.source(**key)]
    found = versions(solved("app", sources=sources))
    assert (found["app"], found["hello"], found["base-shell"]) == ("3.0", "1.0", "1.0")
    found = versions(solved("app", sources=sources, manifest=pins(hello="/vendor")))
    assert (found["hello"], found["base-shell"]) == ("99:1", "1.0")
    found = versions(solved("hello/vendor", sources=sources))
    assert (found["hello"], found["base-shell"]) == ("99:1", "1.0")
    found = versions(solved("hello", sources=sources, manifest=pins(hello="=99:*")))
    assert (found["hello"], found["base-shell"]) == ("99:1", "1.0")
    # somebody else's pin by pattern welcomes what it names, and no more
    found = versions(solved("app", sources=sources, manifest=pins(heX="/vendor")))
    assert (found["hello"], found["base-shell"]) == ("99:1", "1.0")
    # a high priority is the manifest's word too; a low one takes away
    found = versions(solved("app", sources=[sources[0], vendor.source(**key, priority=501)]))
    assert (found["hello"], found["base-shell"]) == ("99:1", "99:1")
    found = versions(solved("app", sources=[sources[0], vendor.source(**key, priority=500)]))
    assert (found["hello"], found["base-shell"]) == ("1.0", "1.0")
    with pytest.raises(SolveError):
        solved("app", sources=[sources[0], vendor.source(**key, priority=-1)])


def test_groups_are_solved_together_and_kept_apart(
    solved: Solve, archive: Archive, deb: Deb, state: Path
) -> None:
    archive.add(deb("debugger", Depends="shared, symbols"), deb("symbols"), deb("shared"))
    archive.add(deb("app", Depends="shared"), deb("docs", Recommends="reader"), deb("reader"))
    archive.publish()
    text = (
        'suite = "stable"\nrecommends = true\npackages = ["app"]\n'
        '[groups.dev]\npackages = ["debugger", "docs", "hello [i386]"]\n'
        '[groups.docs]\npackages = ["docs", "app"]\n'
    )
    manifest = replace(parse_manifest(text), sources=(archive.source(),), architecture=ARCHITECTURE)
    lock = solve(manifest, state=state, refresh=True)
    assert parse_lock(render_lock(lock)) == lock
    groups = {package.name: package.groups for package in lock.packages if package.groups}
    assert groups == {
        "debugger": ("dev",),
        "symbols": ("dev",),
        "docs": ("dev", "docs"),
        "reader": ("dev", "docs"),
    }
    names = {package.name for package in lock.selected().packages}
    assert names == {"app", "shared", "base-core", "base-shell", "base-c"}
    assert {p.name for p in lock.selected(["docs"]).packages} == names | {"docs", "reader"}
    assert lock.selected(["dev", "docs"]) is lock
    asking = {package.name: package.asking for package in lock.packages if package.requested}
    assert asking == {"app": (), "debugger": ("dev",), "docs": ("dev", "docs")}
    assert [p.name for p in lock.selected(["docs"]).packages if p.requested] == ["app", "docs"]
    # what a group asks for is a mere dependency for those who do not have the group
    more = parse_manifest(text.replace('"docs", "app"', '"shared"'))
    more = replace(more, sources=manifest.sources, architecture=ARCHITECTURE)
    shared = solve(more, state=state).selected(["dev"]).find("shared")
    assert shared is not None
    assert not shared.requested
    alone = solve(replace(manifest, groups=()), state=state)
    assert alone.digest() == lock.selected().digest()


def test_a_manifest_of_old_has_the_digest_it_had() -> None:
    """The new keys count only where they are set: locks stay answers."""
    manifest = Manifest("bookworm")
    assert manifest.inputs().startswith("441b337e")
