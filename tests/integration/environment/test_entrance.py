"""Variables, scripts, aliases, kept directories and groups with the real image and launcher."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.environment.test_main_job import python_less
from tests.lib.command import Dolmen
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.network

VALUE = 'it\'s "quoted" $HOME `id` \\ \n\tend'
MANIFEST = f"""\
suite = "bookworm"
packages = ["jq"]
persist = ["/var/lib/things", "/etc/skel"]

[groups.dev]
packages = ["hello"]

[env]
GREETING = {json.dumps(VALUE)}
EMPTY = ""

[aliases]
count = "jq -n"
jq = "echo never"

[scripts]
test = "pwd; printf '%s|' \\"$GREETING\\""
jq = "echo script"
fail = "exit 7"
show = '''
for a in "$@"; do printf '<%s>' "$a"; done
'''
"""


@pytest.fixture(scope="module")
def project(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    directory = tmp_path_factory.mktemp("entrance") / "project"
    directory.mkdir()
    (directory / "sub").mkdir()
    (directory / "dolmen.toml").write_text(MANIFEST)
    dolmen = Dolmen(installed_source, directory, session_store)
    dolmen.ok("install")
    return dolmen


@pytest.fixture(params=["sh", "python"])
def run(request: pytest.FixtureRequest, project: Dolmen, tmp_path: Path) -> Dolmen:
    """The command answered by the front alone, and by way of Python."""
    return python_less(project, tmp_path) if request.param == "sh" else project


def options(run: Dolmen) -> list[str]:
    """What the front does not answer."""
    return [] if "sh-only" in str(run.source) else ["--locked"]


def test_scripts(run: Dolmen) -> None:
    more = options(run)
    sub = run.directory / "sub"
    expected = f"{run.directory}\n{VALUE}|a b|$x|"
    assert run.ok("run", *more, "test", "a b", "$x", cwd=sub) == expected
    assert run.ok("run", *more, "--pure", "--", "test", "a b", "$x", cwd=sub) == expected
    assert run.ok("run", *more, "show", "", "--", "-x", "it's") == "<><--><-x><it's>"
    assert run("run", *more, "fail").returncode == 7
    # a script comes before a command, which its path reaches
    assert run.ok("run", *more, "jq") == "script\n"
    assert run.ok("run", *more, "/usr/bin/jq", "-n", "1") == "1\n"
    for name in ("../scripts/test", "scripts/test", ".", ".."):
        assert run("run", *more, name).returncode in (126, 127)


def test_variables(run: Dolmen) -> None:
    for pure in ([], ["--pure"]):
        argv = ("run", *options(run), *pure, "--", "printenv", "-0", "GREETING", "EMPTY")
        assert run.ok(*argv) == f"{VALUE}\0\0"
    environ = (run.directory / ".dolmen/current/environ").read_bytes()
    assert environ == f"EMPTY=\0GREETING={VALUE}\0".encode()


def test_aliases(run: Dolmen) -> None:
    more = options(run)
    assert run.ok("run", *more, "count", "1+1") == "2\n"
    assert run.ok("run", *more, "--pure", "count", "1+1") == "2\n"
    assert run.ok("run", *more, "sh", "-c", "jq -n 3; count 4") == "3\n4\n"
    done = run("run", *more, "count", "syntax error")
    assert done.returncode == 3


def test_aliases_are_on_the_host_s_path(project: Dolmen) -> None:
    from dolmen.support.run import run as start

    bin = project.directory / ".dolmen/bin"
    assert sorted(path.name for path in bin.iterdir()) == ["count", "jq"]
    done = start([str(bin / "count"), "1+1"], env=project.environment(), timeout=60)
    assert done.stdout == b"2\n"


def test_kept_directories(run: Dolmen) -> None:
    more = options(run)
    mark = f"mark{len(more)}"
    run.ok("run", *more, "sh", "-c", f"echo {mark} >/var/lib/things/{mark}; echo >/etc/skel/{mark}")
    assert run.ok("run", *more, "cat", f"/var/lib/things/{mark}") == f"{mark}\n"
    assert run.ok("run", *more, "--pure", "cat", f"/var/lib/things/{mark}") == f"{mark}\n"
    assert ".bashrc" in run.ok("run", *more, "ls", "-a", "/etc/skel")
    kept = run.directory / ".dolmen/persist/var/lib/things" / mark
    assert kept.read_text() == f"{mark}\n"
    run.ok("run", *more, "--pure", "sh", "-c", f"echo pure >/var/lib/things/{mark}")
    assert kept.read_text() == "pure\n"
    # beside them nothing is writable, nor may confined commands write what runs outside
    for path in ("/etc/x", "/usr/x", "/var/lib/dpkg/x", ".dolmen/current/scripts/test"):
        assert run("run", *more, "--pure", "sh", "-c", f"echo >{path}").returncode != 0, path


def test_the_image_stays_as_it_is(project: Dolmen) -> None:
    tree = (project.directory / ".dolmen/current/tree").resolve()
    before = (tree / "etc/skel/.bashrc").read_bytes()
    project.ok("run", "sh", "-c", "echo changed >>/etc/skel/.bashrc")
    assert (tree / "etc/skel/.bashrc").read_bytes() == before


def test_what_was_removed_is_made_again(project: Dolmen, tmp_path: Path) -> None:
    """By the launcher, which asks `dolmen` for it."""
    command = tmp_path / "dolmen"
    command.write_text(f'#!/bin/sh\nexec {project.front} "$@"\n')
    command.chmod(0o755)
    shutil.rmtree(project.directory / ".dolmen/persist/etc")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert ".bashrc" in project.ok("run", "ls", "-a", "/etc/skel", env=path)


def test_groups_and_entering_without_solving(project: Dolmen, tmp_path: Path) -> None:
    directory = tmp_path / "clone"
    directory.mkdir()
    for name in ("dolmen.toml", "dolmen.lock"):
        shutil.copy(project.directory / name, directory / name)
    clone = replace(project, directory=directory)
    clone.ok("sync", "--locked")
    assert clone("run", "hello").returncode == 127
    clone.ok("sync", "--group", "dev")
    assert clone.ok("run", "hello") == "Hello, world!\n"
    assert "hello" in clone.ok("list")
    # an edit of a variable costs neither a solution nor a build, and keeps the choice
    text = (directory / "dolmen.toml").read_text()
    (directory / "dolmen.toml").write_text(text.replace('EMPTY = ""', 'EMPTY = "no"'))
    began = time.monotonic()
    assert clone.ok("run", "printenv", "EMPTY") == "no\n"
    assert time.monotonic() - began < 20
    assert clone.ok("run", "hello") == "Hello, world!\n"
    clone.ok("sync", "--no-group", "dev")
    assert clone("run", "hello").returncode == 127
    clone.ok("rollback")
    assert clone.ok("run", "hello") == "Hello, world!\n"
    assert clone("sync", "--group", "nothing").returncode == 3


def test_an_ordinary_user(project: Dolmen, ordinary_user: OrdinaryUser) -> None:
    """A daemon that must not be root writes its files where they stay."""
    mine = project.as_user(ordinary_user)
    manifest = mine.directory / "dolmen.toml"
    manifest.write_text(MANIFEST)
    os.chown(manifest, ordinary_user.uid, ordinary_user.gid)
    mine.ok("install", timeout=600)
    mine.ok("run", "sh", "-c", "umask 077; echo secret >/var/lib/things/file")
    assert mine.ok("run", "sh", "-c", "stat -c %U:%a /var/lib/things/file; id -un") == (
        f"{ordinary_user.name}:600\n{ordinary_user.name}\n"
    )
    assert mine.ok("run", "test").startswith(f"{mine.directory}\n")
