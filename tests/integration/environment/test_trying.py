"""A trial from its beginning to a generation, with the archive's own apt and dpkg inside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dolmen.store import Store
from dolmen.support.run import kill_group
from tests.integration.environment.test_terminal import on_terminal
from tests.lib.command import Dolmen
from tests.lib.debs import Link, make_deb
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.network

TERMINAL_INJECTION = """
my $c = "x";
print ioctl(STDIN, 0x5412, $c) ? "injected" : "refused: $!", "\\n";
"""


@pytest.fixture(scope="module")
def begun(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    """A directory with jq, whose image with apt below a trial is built already."""
    directory = tmp_path_factory.mktemp("trying") / "project"
    directory.mkdir()
    dolmen = Dolmen(installed_source, directory, session_store)
    dolmen.ok("install", "--dir", directory, "--suite", "bookworm", "jq")
    dolmen.ok("try", "--name", "seed", "--", "true")
    return dolmen


@pytest.fixture
def mine(begun: Dolmen, tmp_path: Path) -> Dolmen:
    """A directory of the test's own with the same manifest and lock."""
    directory = tmp_path / "project"
    directory.mkdir()
    for name in ("dolmen.toml", "dolmen.lock"):
        shutil.copy(begun.directory / name, directory / name)
    dolmen = replace(begun, directory=directory)
    dolmen.ok("sync", "--locked")
    return dolmen


def live(dolmen: Dolmen) -> dict[str, Any]:
    found = [one for one in dolmen.json("generations") if one["live"]]
    assert len(found) == 1
    value = found[0]["generation"]
    assert isinstance(value, dict)
    return value


def intact(dolmen: Dolmen) -> None:
    """The environment before stays whole: it runs, and its image is what it was."""
    store = Store.open(dolmen.store)
    commit = store.resolve(f"image/{live(dolmen)['image']}")
    assert commit is not None
    assert list(store.check(commit)) == []
    assert dolmen.ok("run", "--", "jq", "-n", "1+1") == "2\n"


def refused(dolmen: Dolmen, *argv: str) -> tuple[int, str]:
    done = dolmen(*argv, "--json")
    assert not done.ok
    import json

    return done.returncode, json.loads(done.stdout.splitlines()[-1])["error"]["reason"]


def test_apt_installs_and_keep_gives_the_same_from_the_archive(mine: Dolmen) -> None:
    before = live(mine)
    mine.ok("try", "--", "apt-get", "install", "-y", "-q", "sl", "cowsay")
    assert live(mine) == before
    assert mine("run", "--", "cowsay").returncode == 127
    listed = mine.json("try", "--list")
    assert [c["name"] for c in listed[0]["changes"]["requested"]] == ["cowsay", "sl"]
    # It goes on where it was; what apt has for itself is no part of what was tried.
    mine.ok("try", "--", "apt-get", "remove", "-y", "-q", "sl")
    plan = mine.json("keep", "--dry-run")
    assert {c["name"] for c in plan["added"]} >= {"cowsay", "libtext-charwidth-perl"}
    assert live(mine) == before
    kept = mine.json("keep")
    assert kept["dropped"]
    assert kept["left_out"] == []
    assert live(mine)["number"] == before["number"] + 1
    assert "cowsay" in mine.ok("run", "--", "dpkg", "-S", "/usr/games/cowsay")
    assert mine("run", "--", "dpkg", "-s", "apt").returncode == 1
    mine.ok("lock", "--check")
    assert not mine.json("sync")["changed"]
    assert mine.json("try", "--list") == []
    mine.ok("rollback")
    intact(mine)


def test_what_no_lock_gives_is_kept_as_it_is_or_not_at_all(mine: Dolmen, tmp_path: Path) -> None:
    deb = make_deb(tmp_path, "mine", files={"usr/bin/mine": Link("/bin/echo")})
    shutil.copy(deb, mine.directory / "mine.deb")
    before, manifest = live(mine), (mine.directory / "dolmen.toml").read_text()
    mine.ok("try", "--", "dpkg", "-i", "mine.deb")
    mine.ok("try", "--", "sh", "-c", "echo edited >>/etc/debconf.conf; rm /usr/share/doc/jq/*")
    assert refused(mine, "keep") == (4, "unknown-package")
    assert live(mine) == before
    assert (mine.directory / "dolmen.toml").read_text() == manifest
    kept = mine.json("keep", "--as-is")
    assert "mine" in [c["name"] for c in kept["added"]]
    files = {(f["path"], f["what"], f["conffile"]) for f in kept["changes"]["files"]}
    assert ("/etc/debconf.conf", "changed", True) in files
    assert any(
        path.startswith("/usr/share/doc/jq/") for path, what, _ in files if what == "removed"
    )
    assert live(mine)["modified"]
    assert mine.ok("run", "--", "mine", "hello") == "hello\n"
    assert mine.ok("run", "--", "tail", "-n1", "/etc/debconf.conf") == "edited\n"
    assert mine.ok("run", "--", "ls", "/usr/share/doc/jq") == ""
    # Nothing of ours is left in it.
    assert mine.ok("run", "--", "ls", "/etc/apt/sources.list.d") == ""
    assert mine("run", "--", "ls", "/usr/sbin/policy-rc.d").returncode == 2
    assert "mine" in os.listdir(mine.directory / ".dolmen/bin")
    assert refused(mine, "verify") == (10, "modified-by-hand")
    assert b"modified by hand" in mine("sync").stderr
    mine.ok("rollback")
    assert live(mine) == before
    intact(mine)


def test_the_image_below_is_never_written(mine: Dolmen) -> None:
    mine.ok(
        "try", "--", "sh", "-c", "echo x >>/usr/bin/jq; chmod 700 /usr/bin/jq; rm -r /usr/share/doc"
    )
    intact(mine)


def test_fake_root_is_no_root(mine: Dolmen) -> None:
    inside = "chown 5:5 /etc/motd && mknod /etc/null c 1 3 && id -u && sync"
    assert mine.ok("try", "--", "sh", "-c", inside) == "0\n"
    assert mine("try", "--", "unshare", "--user", "true").returncode != 0
    assert mine("try", "--", "mount", "-t", "tmpfs", "x", "/mnt").returncode != 0
    assert mine("try", "--", "touch", ".dolmen/current/launch").returncode != 0
    assert mine("try", "--", "mv", ".dolmen", "gone").returncode != 0
    store = str(mine.store)
    assert mine("try", "--", "touch", f"{store}/format").returncode != 0
    mine.ok("try", "--", "touch", "new")
    assert (mine.directory / "new").exists()


def test_home_is_shown_unless_pure(mine: Dolmen) -> None:
    home = Path(mine.environment()["HOME"])
    (home / "mark").write_text("x")
    assert mine.ok("try", "--", "sh", "-c", "cat ~/mark") == "x"
    assert mine("try", "--pure", "--", "cat", str(home / "mark")).returncode == 1
    assert mine.ok("try", "--pure", "--", "sh", "-c", "echo ~; pwd") == f"/root\n{mine.directory}\n"


@contextmanager
def inside(dolmen: Dolmen, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command in the trial, once it has said that it runs."""
    with dolmen.started("try", "--", "sh", "-c", f"{script}; echo ready; sleep 60") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child


def test_one_at_a_time_and_a_kill_loses_nothing(mine: Dolmen) -> None:
    with inside(mine, "echo kept >/etc/kept") as child:
        assert mine.json("try", "--list")[0]["running"]
        for argv in (["try", "true"], ["keep"], ["keep", "--as-is"], ["drop"]):
            done = mine(*argv)
            assert done.returncode == 11, argv
        kill_group(child)
        child.wait(timeout=20)
    deadline = time.monotonic() + 20
    while mine.json("try", "--list")[0]["running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mine.ok("try", "--", "cat", "/etc/kept") == "kept\n"
    intact(mine)
    mine.ok("drop")
    assert refused(mine, "drop") == (3, "no-trial")


def test_a_killed_keep_leaves_the_trial_and_the_environment(mine: Dolmen) -> None:
    before = live(mine)
    mine.ok("try", "--", "sh", "-c", "echo x >/usr/local/bin/x")
    for delay in (0.15, 0.3, 0.6):
        with mine.started("keep", "--as-is") as child:
            time.sleep(delay)
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=20)
        intact(mine)
        if live(mine) != before:
            break
    if live(mine) == before:
        mine.ok("keep", "--as-is")
    assert live(mine)["modified"]
    assert mine.ok("run", "--", "cat", "/usr/local/bin/x") == "x\n"


def test_collecting_leaves_what_lies_below(mine: Dolmen) -> None:
    mine.ok("try", "--", "sh", "-c", "echo x >/etc/x")
    mine.ok("install", "--dir", mine.directory, "jq", "libjq1")
    mine.ok("generations", "remove", "1")
    mine.ok("gc")
    assert mine.ok("try", "--", "cat", "/etc/x") == "x\n"


def test_on_a_terminal(mine: Dolmen) -> None:
    with on_terminal(mine, "try") as terminal:
        terminal.wait_for("dolmen keep, or dolmen drop")
        terminal.type("set +o history; PS1='$ '; echo re''ady $?\n")
        terminal.wait_for("ready 0")
        terminal.type("sleep 77\n")
        time.sleep(0.5)
        terminal.type("\x03")
        terminal.type("echo int''errupted $?\n")
        terminal.wait_for("interrupted 130")
        terminal.type("sleep 78\n")
        time.sleep(0.5)
        terminal.type("\x1a")
        terminal.wait_for("Stopped")
        terminal.type("jobs; kill %1; echo st''opped\n")
        terminal.wait_for("stopped")
        terminal.type(f"perl -e '{TERMINAL_INJECTION}'\n")
        terminal.wait_for("refused")
        terminal.type("exit 7\n")
        assert terminal.end() == 7


@pytest.mark.root
def test_an_ordinary_user(begun: Dolmen, ordinary_user: OrdinaryUser) -> None:
    dolmen = begun.as_user(ordinary_user)
    for name in ("dolmen.toml", "dolmen.lock"):
        content = (begun.directory / name).read_text()
        ordinary_user.run(["tee", str(dolmen.directory / name)], cwd=dolmen.directory)
        (dolmen.directory / name).write_text(content)
    dolmen.ok("sync", "--locked")
    before = live(dolmen)
    dolmen.ok("try", "--", "apt-get", "install", "-y", "-q", "sl", "nginx-light")
    dolmen.ok("try", "--", "sh", "-c", "id -u nobody www-data; touch in-home")
    assert (dolmen.directory / "in-home").stat().st_uid == ordinary_user.uid
    kept = dolmen.json("keep")
    assert kept["dropped"], kept["left_out"]
    assert live(dolmen)["number"] == before["number"] + 1
    dolmen.ok("run", "--", "test", "-x", "/usr/games/sl")
    dolmen.ok("try", "--", "sh", "-c", "rm -r /usr/share/nginx && mkdir /usr/share/nginx")
    dolmen.ok("keep", "--as-is")
    assert dolmen.ok("run", "--", "ls", "/usr/share/nginx") == ""
    assert (dolmen.directory / ".dolmen/trials").is_dir()
    assert os.listdir(dolmen.directory / ".dolmen/trials") == []
