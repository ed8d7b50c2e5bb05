"""A day with one environment: what was asked for happens or nothing does, and all stays whole.

The real archive, and beside it a signed one on loopback whose packages come, change and break as
the day needs it. After each step: what is live runs, every object of its image is what its name
says, and manifest, lock, generation and the dpkg database inside agree.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dolmen.archive import default_sources
from dolmen.model import Source, parse_lock, parse_manifest
from dolmen.store import Store
from tests.lib.archive import Archive, Signer, serve
from tests.lib.command import Dolmen
from tests.lib.debs import make_deb
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.network


@dataclass
class Day:
    """One environment, its store, and the archive that changes under it."""

    dolmen: Dolmen
    store: Path
    archive: Archive
    debs: Path
    checked: set[str] = field(default_factory=set)

    def publish(self, name: str, version: str, **made: Any) -> None:
        """A new package, or a new version that replaces the old one, in the archive's index."""
        files = {f"usr/bin/{name}": f"#!/bin/sh\necho {name} {version}\n"}
        deb = make_deb(self.debs, name, version, **{"files": files, **made})
        entries = self.archive.entries.setdefault("stable", [])
        entries[:] = [entry for entry in entries if entry["Package"] != name]
        self.archive.add(deb)
        self.archive.publish()

    def state(self) -> tuple[str, str, str]:
        directory = self.dolmen.directory
        return (
            (directory / "dolmen.toml").read_text(),
            (directory / "dolmen.lock").read_text(),
            os.readlink(directory / ".dolmen/current"),
        )

    def live(self) -> dict[str, Any]:
        value = json.loads((self.dolmen.directory / ".dolmen/current/generation.json").read_text())
        assert isinstance(value, dict)
        return value

    def whole(self, number: int, *, last: bool = False) -> None:
        """Everything that must hold at any time; an image's objects are read once, and at last."""
        manifest_text, lock_text, current = self.state()
        live, lock = self.live(), parse_lock(lock_text)
        assert current == f"generations/{number}"
        assert live["number"] == number
        here = self.dolmen.directory / ".dolmen/current"
        assert (here / "dolmen.toml").read_text() == manifest_text
        assert (here / "dolmen.lock").read_text() == lock_text
        assert live["lock_digest"] == lock.digest()
        asked = {spec.name for spec in parse_manifest(manifest_text).packages}
        assert {p.name for p in lock.packages if p.requested} == asked
        self.dolmen.ok("lock", "--check")
        assert not self.dolmen.json("sync")["changed"]
        store = Store(self.store)  # not opened: it may be somebody else's
        commit = store.resolve(f"image/{live['image']}")
        assert commit is not None
        assert commit == live["commit"]
        if commit not in self.checked or last:
            assert list(store.check(commit)) == []
            self.checked.add(commit)
        query = ["dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version}\n"]
        inside = set(self.dolmen.ok("run", "--", *query).splitlines())
        locked = {f"{p.name} {p.architecture} {p.version}" for p in lock.packages}
        assert locked == inside if not live["modified"] else len(inside) == live["packages"]
        assert self.dolmen.ok("run", "--", "dpkg", "--audit") == ""

    def refused(self, code: int, *argv: str) -> str:
        """A command that must fail and change nothing; its reason."""
        before = self.state()
        done = self.dolmen(*argv, "--json")
        assert done.returncode == code, (argv, done.stdout, done.stderr)
        assert self.state() == before
        reason = json.loads(done.stdout.splitlines()[-1])["error"]["reason"]
        assert isinstance(reason, str)
        return reason


def a_day(day: Day) -> None:
    dolmen = day.dolmen
    # Morning: something to work with.
    day.publish("tool", "1")
    dolmen.ok("install", "jq", "tool")
    day.whole(1)
    assert dolmen.ok("run", "--", "tool") == "tool 1\n"

    # It breaks in every way; nothing of that is seen.
    day.publish("broken", "1", scripts={"postinst": "#!/bin/sh\necho no; exit 3\n"})
    day.publish("lonely", "1", fields={"Depends": "nobody-has-this"})
    plan = dolmen.json("install", "--refresh", "--dry-run", "broken")
    assert [change["name"] for change in plan["added"]] == ["broken"]
    assert day.refused(6, "install", "broken") == "maintainer-script-failed"
    assert day.refused(4, "install", "lonely") == "unsatisfiable"
    assert day.refused(4, "install", "no-such-package") == "unknown-package"
    assert day.refused(4, "install", "tool=2") == "unknown-version"
    assert day.refused(3, "remove", "cowsay") == "not-in-manifest"
    day.whole(1)

    # Killed at various times, then typed again.
    for delay in (0.2, 0.6, 1.2):
        with dolmen.started("install", "cowsay") as child:
            time.sleep(delay)
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=20)
        assert dolmen.ok("run", "--", "tool") == "tool 1\n"
    dolmen.ok("install", "cowsay")
    number = day.live()["number"]
    day.whole(number)
    assert "< moo >" in dolmen.ok("run", "--", "cowsay", "moo")

    # What changed? Back, and forth again.
    found = dolmen.json("diff", "1", str(number))
    assert "cowsay" in [change["name"] for change in found["added"]]
    dolmen.ok("rollback")
    day.whole(1)
    assert dolmen("run", "--", "cowsay", "x").returncode == 127
    dolmen.ok("switch", str(number))
    day.whole(number)

    # Newer versions: all, one, another suite; a plan first, which changes nothing.
    day.publish("tool", "2")
    before = day.state()
    plan = dolmen.json("update", "--dry-run")
    assert ("tool", "1", "2") in [(c["name"], c["before"], c["after"]) for c in plan["updated"]]
    assert day.state() == before
    value = dolmen.json("update", "tool")
    assert [change["name"] for change in value["updated"]] == ["tool"]
    number += 1
    day.whole(number)
    assert dolmen.ok("run", "--", "tool") == "tool 2\n"
    plan = dolmen.json("upgrade", "--suite", "trixie", "--dry-run")
    assert "jq" in [change["name"] for change in plan["updated"]]
    assert day.refused(5, "upgrade", "--suite", "nosuchsuite")
    day.whole(number)

    # Tried, and kept; tried, and dropped; kept as it is, and taken back.
    dolmen.ok("try", "--", "apt-get", "install", "-y", "-q", "sl")
    dolmen.ok("try", "--", "apt-get", "remove", "-y", "-q", "cowsay")
    day.whole(number)
    kept = dolmen.json("keep")
    assert kept["dropped"], kept["left_out"]
    number += 1
    day.whole(number)
    names = {spec.name for spec in parse_manifest(day.state()[0]).packages}
    assert names == {"jq", "tool", "sl"}
    dolmen.ok("try", "--", "sh", "-c", "rm -rf /usr/bin; true")
    day.whole(number)
    assert day.refused(3, "keep") == "nothing-to-keep"
    dolmen.ok("drop")
    dolmen.ok("try", "--", "sh", "-c", "echo mine >/usr/local/bin/mine")
    dolmen.ok("keep", "--as-is")
    number += 1
    day.whole(number)
    assert day.live()["modified"]
    assert dolmen.ok("run", "--", "cat", "/usr/local/bin/mine") == "mine\n"
    dolmen.ok("rollback")
    day.whole(number - 1)

    # Evening: tidy up.
    numbers = [str(one["generation"]["number"]) for one in dolmen.json("generations")]
    dolmen.ok("generations", "remove", *(n for n in numbers if n != str(number - 1)))
    before = day.state()
    dolmen.ok("gc")
    assert day.state() == before
    day.whole(number - 1, last=True)
    assert dolmen.ok("run", "--", "tool") == "tool 2\n"
    assert dolmen("run", "--", "test", "-e", "/usr/local/bin/mine").returncode == 1


def declaration(sources: tuple[Source, ...], own: Source, key: str) -> str:
    """A manifest with the host's Debian sources and our own."""
    lines = ["# a day", 'suite = "bookworm"', "packages = []"]
    for source in sources:
        lines += ["[[sources]]"]
        for name in ("uris", "suites", "components"):
            lines.append(f"{name} = {json.dumps(getattr(source, name))}")
        if source.signed_by:
            lines.append(f"signed-by = {json.dumps(source.signed_by)}")
    lines += ["[[sources]]", f"uris = {json.dumps(own.uris)}", 'suites = ["stable"]']
    return "\n".join([*lines, f'signed-by = """\n{key}"""', ""])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Signer() as signer, serve(tmp_path_factory.mktemp("www")) as server:
        yield Archive(server.root / "debian", signer, f"{server.uri}/debian")


def begin(dolmen: Dolmen, archive: Archive) -> None:
    text = declaration(default_sources("bookworm"), archive.source(), archive.signer.export("good"))
    (dolmen.directory / "dolmen.toml").write_text(text)


def test_as_whoever_runs_the_tests(
    archive_command: Dolmen, session_store: Path, archive: Archive, tmp_path: Path
) -> None:
    begin(archive_command, archive)
    a_day(Day(archive_command, session_store, archive, tmp_path))


@pytest.mark.root
def test_as_an_ordinary_user(
    archive_command: Dolmen, ordinary_user: OrdinaryUser, archive: Archive, tmp_path: Path
) -> None:
    dolmen = archive_command.as_user(ordinary_user)
    begin(dolmen, archive)
    os.chown(dolmen.directory / "dolmen.toml", ordinary_user.uid, ordinary_user.gid)
    a_day(Day(dolmen, ordinary_user.home / ".local/share/dolmen", archive, tmp_path))
