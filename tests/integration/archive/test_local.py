"""A .deb beside the manifest, solved together with the archive's packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.model import parse_lock, render_lock
from dolmen.model.package import LOCAL, LocalDeb
from dolmen.store.local import read_deb
from dolmen.support.errors import SolveError
from tests.integration.archive.conftest import Deb, Solve
from tests.lib.archive import Archive


def given(path: Path) -> LocalDeb:
    return read_deb(path, f"debs/{path.name}")


def test_it_is_solved_with_the_archive(solved: Solve, archive: Archive, deb: Deb) -> None:
    tool = given(deb("tool", "1.0", Depends="hello, helper (>= 2)", Provides="virtual"))
    helper = given(deb("helper", "2.0"))
    lock = solved(local=[tool, helper])
    assert parse_lock(render_lock(lock)) == lock
    found = {package.name: package for package in lock.packages}
    assert set(found) == {
        "base-core",
        "base-shell",
        "base-c",
        "tool",
        "helper",
        "hello",
        "libhello",
    }
    assert (found["tool"].release, found["tool"].filename) == (LOCAL, "debs/tool_1.0_all.deb")
    assert (found["tool"].sha256, found["tool"].size) == (tool.sha256, tool.size)
    assert found["tool"].requested
    assert found["tool"].get("Depends") == "hello, helper (>= 2)"
    assert not found["hello"].requested
    assert found["hello"].release == 0
    # nothing of it stays for the next one
    archive_only = solved("hello", refresh=None)
    assert "tool" not in {package.name for package in archive_only.packages}
    with pytest.raises(SolveError) as caught:
        solved(refresh=None, local=[tool])
    assert caught.value.reason == "unsatisfiable"


def test_its_version_wins_over_the_archive_s(solved: Solve, archive: Archive, deb: Deb) -> None:
    archive.add(deb("tool", "2.0"), deb("user", Depends="tool"))
    archive.publish()
    old = given(deb("tool", "1.0"))
    found = solved("user", local=[old]).find("tool")
    assert found is not None
    assert (found.version, found.is_local) == ("1.0", True)
    # an unchanged copy of the archive's own file is as good
    same = given(archive.debs("tool")[0])
    found = solved("user", local=[same]).find("tool")
    assert found is not None
    assert (found.version, found.sha256) == ("2.0", same.sha256)


def test_it_replaces_a_library_of_the_base(solved: Solve, deb: Deb) -> None:
    """What the manifest names itself may do what a vendor's archive may not (R14)."""
    lock = solved(local=[given(deb("base-c", "9.0"))])
    assert {p.name: p.version for p in lock.packages}["base-c"] == "9.0"


def test_another_architecture(solved: Solve, deb: Deb) -> None:
    assert solved(local=[given(deb("tool", "1.0", "amd64"))])
    with pytest.raises(SolveError) as caught:
        solved(local=[given(deb("tool", "1.0", "arm64"))])
    assert caught.value.reason == "unknown-architecture"


def test_a_hostile_control_file(solved: Solve, deb: Deb) -> None:
    good = given(deb("tool", "1.0"))
    assert solved(local=[good])
    for control in (
        good.control + "\nPackage: base-shell\nVersion: 99\nArchitecture: amd64\n",
        good.control.replace("Package: tool\n", ""),
        "Package: tool\n",
        "",
    ):
        bad = LocalDeb(good.path, good.sha256, good.size, control)
        with pytest.raises(SolveError) as caught:
            solved(local=[bad])
        assert caught.value.reason == "bad-deb"
    # fields that say where a file is are not the package's to say
    sly = good.control.rstrip("\n") + "\nFilename: ../../etc/passwd\nSHA256: " + "0" * 64 + "\n"
    found = solved(local=[LocalDeb(good.path, good.sha256, good.size, sly)]).find("tool")
    assert found is not None
    assert (found.filename, found.sha256) == (good.path, good.sha256)
