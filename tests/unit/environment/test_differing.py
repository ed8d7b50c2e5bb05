"""What two generations differ in."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.environment import Environment, initialise, install, remove
from dolmen.environment.differing import difference, side
from dolmen.model import parse_spec
from dolmen.support.errors import DeclarationError
from tests.lib.storing import StoreBackend


@pytest.fixture
def backend(store_dir: Path) -> StoreBackend:
    return StoreBackend(store_dir)


@pytest.fixture
def three(backend: StoreBackend, tmp_path: Path) -> Environment:
    """jq 1.0 with curl; then jq 3.0 with curl and python3; then without curl."""
    directory = tmp_path / "project"
    directory.mkdir()
    environment = initialise(directory, suite="bookworm")
    first = [parse_spec("jq=1.0"), parse_spec("curl")]
    install(environment, first, backend=backend, command="install")
    second = [parse_spec("jq=3.0"), parse_spec("python3")]
    install(environment, second, backend=backend, command="install")
    remove(environment, ["curl"], backend=backend, command="remove curl")
    return environment


def test_packages_files_and_changelogs(three: Environment, backend: StoreBackend) -> None:
    store = backend.store
    found = difference(side(three, "1", store), side(three, "@", store), store, patches="conf")
    assert [(p.change.name, p.change.before, p.change.after) for p in found.packages] == [
        ("curl", "1.0", None),
        ("jq", "1.0", "3.0"),
        ("python3", None, "1.0"),
    ]
    (jq,) = found.sources
    assert [entry.version for entry in jq.entries] == ["3.0", "2.0"]
    assert found.cves == ("CVE-2026-2000", "CVE-2026-3000")
    assert found.undone_cves == ()
    assert found.files is not None
    files = {one.path: one for one in found.files}
    assert files["/usr/bin/curl"].what == "removed"
    assert files["/usr/bin/python3"].what == "added"
    assert files["/usr/bin/jq"].what == "content"
    assert not any(path.startswith("/var/lib/dpkg") for path in files)
    conf = files["/etc/jq.conf"]
    assert conf.conffile
    assert conf.patch[2:] == ("@@ -1,2 +1,2 @@", " same", "-version 1.0", "+version 3.0")
    assert files["/usr/bin/jq"].patch == ()


def test_the_way_back(three: Environment, backend: StoreBackend) -> None:
    store = backend.store
    found = difference(side(three, "2", store), side(three, "1", store), store)
    assert found.cves == ()
    assert found.undone_cves == ("CVE-2026-2000", "CVE-2026-3000")
    assert found.sources[0].undone


def test_all_patches(three: Environment, backend: StoreBackend) -> None:
    store = backend.store
    found = difference(side(three, "1", store), side(three, "2", store), store, patches="all")
    assert found.files is not None
    patched = {one.path for one in found.files if one.patch}
    assert {"/usr/bin/jq", "/etc/jq.conf", "/etc/python3.conf"} <= patched
    assert "/usr/share/doc/jq/changelog.Debian.gz" not in patched


def test_the_same(three: Environment, backend: StoreBackend) -> None:
    one = side(three, "@", backend.store)
    found = difference(one, one, backend.store)
    assert not found.changes
    assert (found.packages, found.sources, found.files) == ((), (), ())


def test_locks_alone(three: Environment, tmp_path: Path) -> None:
    one = tmp_path / "old.lock"
    one.write_text((three.generations / "1/dolmen.lock").read_text())
    found = difference(side(None, str(one), None), side(None, str(three.lock), None), None)
    assert len(found.packages) == 3
    assert found.files is None


def test_what_is_not_there(three: Environment, backend: StoreBackend, tmp_path: Path) -> None:
    for environment, reference, reason in (
        (three, "7", "no-generation"),
        (three, "missing.lock", "no-generation"),
        (None, "missing.lock", "no-lock"),
    ):
        with pytest.raises(DeclarationError) as caught:
            side(environment, reference, backend.store)
        assert caught.value.reason == reason
    (three.generations / "1/dolmen.lock").write_text("nonsense")
    with pytest.raises(DeclarationError) as caught:
        side(three, "1", backend.store)
    assert caught.value.reason == "bad-lock"
