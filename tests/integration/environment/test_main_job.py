"""From a declaration to a running command, with the real archive and the real namespaces."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.support.run import kill_group
from tests.lib.command import Dolmen
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def project(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    """A directory with jq installed, shared by the tests that only read."""
    directory = tmp_path_factory.mktemp("jq") / "project"
    dolmen = Dolmen(installed_source, directory, session_store)
    directory.mkdir()
    dolmen.ok("install", "--dir", directory, "--suite", "bookworm", "jq")
    return dolmen


@pytest.fixture
def mine(project: Dolmen, tmp_path: Path) -> Dolmen:
    """A directory of the test's own with the same manifest and lock, built."""
    directory = tmp_path / "project"
    directory.mkdir(exist_ok=True)
    for name in ("dolmen.toml", "dolmen.lock"):
        shutil.copy(project.directory / name, directory / name)
    dolmen = replace(project, directory=directory)
    dolmen.ok("sync", "--locked")
    return dolmen


def python_less(dolmen: Dolmen, path: Path) -> Dolmen:
    """The same command where Python cannot start: what works is answered by sh alone."""
    source = path / "sh-only"
    front = source / "dolmen/data/front.sh"
    front.parent.mkdir(parents=True)
    shutil.copy(dolmen.front, front)
    (source / "dolmen/__main__.py").write_text("raise SystemExit(99)\n")
    return replace(dolmen, source=source)


def test_a_command_runs(project: Dolmen) -> None:
    assert project.ok("run", "--", "jq", "-n", "1+1") == "2\n"
    assert project.ok("run", "jq", "--version").startswith("jq-1.6")


def test_without_python(project: Dolmen, tmp_path: Path) -> None:
    sh = python_less(project, tmp_path)
    assert sh.ok("run", "jq", "-n", "1+1") == "2\n"
    assert sh.ok("run", "--pure", "jq", "-n", "1+1") == "2\n"
    assert sh("shell", input=b"jq -n 2+2\nexit 3\n").returncode == 3
    assert sh("install", "curl").returncode == 99


def test_the_same_answer_by_way_of_python(project: Dolmen) -> None:
    for argv in (["sh", "-c", "exit 5"], ["nothing-of-that-name"], ["/etc"], ["sh", "-c", "id -u"]):
        quick = project("run", "--", *argv)
        slow = project("run", "--locked", "--", *argv)
        assert (quick.returncode, quick.stdout) == (slow.returncode, slow.stdout), argv
    assert project("run", "--", "nothing-of-that-name").returncode == 127
    assert project("run", "--", "/etc").returncode == 126
    assert project("run", "--locked", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_pipe_that_closes_kills_the_command(project: Dolmen) -> None:
    """Python ignores SIGPIPE; a command that inherited that would run on."""
    for option in ("--locked", "--"):
        with project.started("run", option, "yes") as child:
            assert child.stdout is not None
            child.stdout.readline()
            child.stdout.close()
            assert child.wait(timeout=30) in (-signal.SIGPIPE, 128 + signal.SIGPIPE)


def test_launchers(project: Dolmen, tmp_path: Path) -> None:
    commands = os.listdir(project.directory / ".dolmen/bin")
    assert "jq" in commands
    assert not {"ls", "sh", "cat", "env", "dpkg"} & set(commands)
    launcher = project.directory / ".dolmen/bin/jq"
    env = project.environment()
    done = subprocess.run(
        [launcher, "-n", "3"], capture_output=True, env=env, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"3\n")


def test_nothing_to_do_is_quick(project: Dolmen) -> None:
    for argv in (["install", "jq"], ["sync"]):
        start = time.monotonic()
        value = project.json(*argv)
        elapsed = time.monotonic() - start
        assert value["changed"] is False
        assert elapsed < 1.0


def test_nothing_to_do_imports_nothing_heavy(project: Dolmen) -> None:
    main = project.source / "dolmen/__main__.py"
    for argv in (["install", "jq"], ["sync"], ["--help"]):
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-X", "importtime", main, *argv],
            cwd=project.directory, env=project.environment(), capture_output=True, timeout=60,
            check=True,
        )  # fmt: skip
        imported = {line.split("|")[-1].strip() for line in done.stderr.decode().splitlines()}
        assert "click" in imported
        assert not imported & {
            "gi",
            "apt_pkg",
            "rich",
            "tomlkit",
            "subprocess",
            "dolmen.store.store",
        }


def test_a_second_directory_builds_nothing(project: Dolmen, mine: Dolmen) -> None:
    records = [
        json.loads((d.directory / ".dolmen/current/generation.json").read_text())
        for d in (project, mine)
    ]
    assert records[0]["image"] == records[1]["image"]
    assert mine.ok("run", "jq", "-n", "1") == "1\n"


def test_a_failed_solve_leaves_all_as_it_was(mine: Dolmen) -> None:
    paths = [mine.directory / name for name in ("dolmen.toml", "dolmen.lock")]
    before = [path.read_bytes() for path in paths]
    done = mine("install", "no-such-package-at-all", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["error"]["reason"]
    assert [path.read_bytes() for path in paths] == before
    assert os.listdir(mine.directory / ".dolmen/generations") == ["1"]
    assert mine.ok("run", "jq", "-n", "1") == "1\n"


def test_an_edited_manifest(mine: Dolmen) -> None:
    manifest = mine.directory / "dolmen.toml"
    manifest.write_text(manifest.read_text().replace('"jq"', '"hello"'))
    assert mine("lock", "--check").returncode == 9
    assert mine("sync", "--locked").returncode == 9
    assert mine("run", "--locked", "jq", "-n", "1").returncode == 9
    done = mine("run", "jq", "-n", "1")
    assert (done.returncode, done.stdout) == (0, b"1\n")
    assert b"warning: " in done.stderr
    mine.ok("install")
    assert mine.ok("run", "hello") == "Hello, world!\n"
    assert mine("run", "jq", "-n", "1").returncode == 127
    mine.ok("rollback")
    assert mine.ok("run", "jq", "-n", "1") == "1\n"


def test_two_at_once_in_one_directory(mine: Dolmen) -> None:
    with mine.started("install", "hello") as one, mine.started("install", "cowsay") as two:
        for child in (one, two):
            assert child.wait(timeout=300) == 0, child.stderr and child.stderr.read()
    assert mine.ok("run", "hello") == "Hello, world!\n"
    assert "<3>" in mine.ok("run", "/usr/games/cowsay", "<3>")
    assert sorted(os.listdir(mine.directory / ".dolmen/generations")) == ["1", "2", "3"]


def events(child: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
    assert child.stderr is not None
    for line in child.stderr:
        yield json.loads(line)


@pytest.mark.parametrize("phase", ["solve", "fetch", "configure", "commit"])
def test_killed_while_it_works(mine: Dolmen, phase: str) -> None:
    """The generation before stays whole and live, and the same command typed again succeeds."""
    package = {"solve": "hello", "fetch": "figlet", "configure": "sl", "commit": "toilet"}[phase]
    argv = ("install", package, "--json-events", "--refresh")
    lock = (mine.directory / "dolmen.lock").read_bytes()
    with mine.started(*argv) as child:
        for event in events(child):
            if event.get("phase") == phase:
                kill_group(child)
                break
        code = child.wait(timeout=60)
    assert code == -signal.SIGKILL
    assert os.readlink(mine.directory / ".dolmen/current") == "generations/1"
    assert mine.ok("run", "jq", "-n", "1") == "1\n"
    assert (mine.directory / "dolmen.lock").read_bytes() == lock
    mine.ok("install", package)
    assert os.readlink(mine.directory / ".dolmen/current") == "generations/2"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_interrupted(mine: Dolmen, number: signal.Signals, code: int) -> None:
    with mine.started("install", "bc", "--json-events", "--refresh") as child:
        for event in events(child):
            if event.get("phase") == "solve":
                child.send_signal(number)
                break
        assert child.wait(timeout=60) == code
    assert os.readlink(mine.directory / ".dolmen/current") == "generations/1"
    assert not list((mine.directory / ".dolmen/generations").glob(".new.*"))


def test_ad_hoc_shells(archive_command: Dolmen, tmp_path: Path) -> None:
    dolmen = archive_command
    argv = ("shell", "-p", "jq", "--suite", "bookworm", "--", "sh", "-c", "jq -n 1+1; exit 4")
    done = dolmen(*argv)
    assert (done.returncode, done.stdout) == (4, b"2\n")
    assert os.listdir(dolmen.directory) == []
    done = python_less(dolmen, tmp_path)(*argv)
    assert (done.returncode, done.stdout) == (4, b"2\n")


def test_ordinary_user(project: Dolmen, ordinary_user: OrdinaryUser) -> None:
    """Neither root nor subordinate ids; the same lock gives the same image as for root."""
    dolmen = project.as_user(ordinary_user)
    for name in ("dolmen.toml", "dolmen.lock"):
        target = dolmen.directory / name
        shutil.copy(project.directory / name, target)
        os.chown(target, ordinary_user.uid, ordinary_user.gid)
    value = dolmen.json("sync", "--locked")
    record = json.loads((project.directory / ".dolmen/current/generation.json").read_text())
    assert value["generation"]["image"] == record["image"]
    assert dolmen.ok("run", "jq", "-n", "1+1") == "2\n"
    assert dolmen.ok("run", "id", "-un").strip() == ordinary_user.name
    # Nobody enters what belongs to somebody else, root neither.
    done = replace(project, directory=dolmen.directory)("run", "true", "--json")
    assert done.returncode == 3


def test_a_copy_brings_no_launcher(mine: Dolmen, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(mine.directory, copy, symlinks=True)
    (copy / ".dolmen/generations/1/launch").write_text("#!/bin/sh\necho evil\n")
    assert replace(mine, directory=copy).ok("run", "jq", "-n", "1") == "1\n"


ATTACK = """
for path in .dolmen/current/launch web/.dolmen/current/launch; do
    [ ! -e "$path" ] || echo 'echo evil' >"$path"
done
rm -rf .dolmen/current web/.dolmen/current
mv .dolmen old; mv web moved
[ -d .dolmen ] || [ -d web ] || echo renamed
: >own && echo wrote
"""


def test_a_confined_command_cannot_change_launchers(mine: Dolmen) -> None:
    """They are scripts that run outside of the sandbox; the directory around them is writable."""
    launcher = mine.directory / ".dolmen/current/launch"
    text = launcher.read_text()
    state = mine.directory / ".dolmen"
    for cwd in (mine.directory, mine.directory.parent):
        done = mine(
            "--dir", mine.directory, "run", "--pure", "sh", "-c",
            ATTACK.replace("web", mine.directory.name), cwd=cwd,
        )  # fmt: skip
        assert done.stdout == b"wrote\n"
        assert (cwd / "own").exists()
        assert launcher.read_text() == text
    done = mine("--dir", mine.directory, "run", "--pure", "sh", "-c", "echo x >root", cwd=state)
    assert done.returncode != 0
    assert mine.ok("run", "jq", "-n", "1") == "1\n"


def test_a_development_shell_may_write_its_own_directory(mine: Dolmen) -> None:
    mine.ok("run", "touch", "own")
    assert (mine.directory / "own").exists()
