"""The sh front: it answers alone when all is well, and asks Python whenever there is a doubt.

A fake `__main__.py` beside a copy of the front stands for Python and tells its arguments.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from dolmen.environment import Environment, ad_hoc, install, prepare
from dolmen.model import parse_spec
from dolmen.support.run import Completed, run
from tests.lib.backend import FakeBackend

FRONT = Path(__file__).resolve().parents[3] / "src/dolmen/data/front.sh"
ECHO = "import sys\nprint('PYTHON', *sys.argv[1:], sep='|')\nsys.exit(77)\n"


@pytest.fixture
def front(tmp_path: Path) -> Path:
    path = tmp_path / "src/dolmen/data/front.sh"
    path.parent.mkdir(parents=True)
    shutil.copy(FRONT, path)
    (tmp_path / "src/dolmen/__main__.py").write_text(ECHO)
    return path


@pytest.fixture
def ready(environment: Environment, backend: FakeBackend) -> Environment:
    install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    return environment


class Shell:
    """Runs the front in a directory with the fake backend's store."""

    def __init__(self, front: Path, backend: FakeBackend, cwd: Path) -> None:
        self.front = front
        self.backend = backend
        self.cwd = cwd

    def __call__(self, *argv: str, env: Mapping[str, str] | None = None) -> Completed:
        variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "DOLMEN_STORE": str(self.backend.store_path),
            **(env or {}),
        }
        return run([str(self.front), *argv], timeout=20, env=variables, cwd=self.cwd)

    def out(self, *argv: str, env: Mapping[str, str] | None = None) -> str:
        done = self(*argv, env=env)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def asks_python(self, *argv: str, env: Mapping[str, str] | None = None) -> bool:
        done = self(*argv, env=env)
        asked = done.stdout.decode() == "|".join(["PYTHON", *argv]) + "\n"
        assert asked == (done.returncode == 77)
        return asked


@pytest.fixture
def shell(front: Path, backend: FakeBackend, ready: Environment) -> Shell:
    return Shell(front, backend, ready.directory)


def test_answers_alone(shell: Shell) -> None:
    assert shell.out("run", "--", "echo", "a b", "", "*") == "a b  *\n"
    assert shell.out("run", "echo", "--pure") == "--pure\n"
    assert shell.out("shell", "--", "echo", "x") == "x\n"
    assert shell.out("run", "echo", "run", "shell") == "run shell\n"
    assert shell("run", "--", "sh", "-c", "exit 5").returncode == 5
    assert shell("run", "--", "sh", "-c", "kill -9 $$").returncode == -9


def test_it_is_the_same_process(shell: Shell) -> None:
    done = shell("run", "--", "sh", "-c", "ps -o ppid= -p $$ || echo $PPID")
    assert int(done.stdout) == os.getpid()


def test_options(shell: Shell, tmp_path: Path) -> None:
    show = ("--", "sh", "-c", "echo $FAKE_PURE $FAKE_NETWORK")
    assert shell.out("run", "--pure", *show) == "1\n"
    assert shell.out("run", "--pure", "--network", *show) == "1 1\n"
    directory = str(shell.cwd)
    shell.cwd = tmp_path
    for options in (["-C", directory], ["--dir", directory], [f"--dir={directory}"]):
        assert shell.out(*options, "run", "--", "echo", "x") == "x\n"
        assert shell.out("run", *options, "--", "echo", "x") == "x\n"
    assert shell.out("run", "--dir", "project", "echo", "x") == "x\n"


def test_store_option(shell: Shell) -> None:
    store = str(shell.backend.store_path)
    other = {"DOLMEN_STORE": "/nonexistent"}
    assert shell.out("run", "--store", store, "echo", "x", env=other) == "x\n"
    assert shell.out("--store=" + store, "run", "echo", "x", env=other) == "x\n"
    assert shell.asks_python("run", "echo", "x", env=other)


def test_found_from_below(shell: Shell, ready: Environment, tmp_path: Path) -> None:
    below = ready.directory / "a/b"
    below.mkdir(parents=True)
    shell.cwd = below
    assert shell.out("run", "pwd") == f"{below}\n"
    link = tmp_path / "link"
    link.symlink_to(below)
    # $PWD as the caller spells it goes on to the command; the search goes by the file system.
    shell.cwd = link
    told = {"PWD": str(link), "OLDPWD": "/usr"}
    assert shell.out("run", "sh", "-c", "echo $PWD $OLDPWD", env=told) == f"{link} /usr\n"


def test_no_variable_of_the_caller_changes(shell: Shell) -> None:
    variables = dict.fromkeys(("dir", "verb", "store", "specs", "CDPATH"), "mine")
    done = shell.out("run", "--", "env", env=variables)
    assert {line for line in done.splitlines() if line.endswith("=mine")} == {
        f"{name}=mine" for name in variables
    }


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["install", "run"],
        ["run"],
        ["run", "--"],
        ["run", "--locked", "x"],
        ["run", "--dir"],
        ["run", "--dir", "", "x"],
        ["run", "--dir=", "x"],
        ["--pure", "run", "x"],
        ["--", "run", "x"],
        ["--json", "run", "x"],
        ["-p", "jq", "shell"],
        ["shell", "--suite", "trixie"],
        ["shell", "-p", "gcc/bookworm-backports"],
        ["shell", "-p", "../x"],
        ["shell", "-p", "jq;id"],
        ["run", "-p", "jq", "--dir", ".", "x"],
        ["shell", "-p", "jq"],
        ["run", "-h"],
        ["--dir", "/nonexistent", "run", "x"],
    ],
)
def test_asks_python_about_anything_else(shell: Shell, argv: list[str]) -> None:
    assert shell.asks_python(*argv)


def test_asks_python_when_something_was_edited(shell: Shell, ready: Environment) -> None:
    text = ready.manifest_text()
    ready.manifest.write_text(text + "# edit\n")
    assert shell.asks_python("run", "echo")
    ready.manifest.write_text(text)
    assert shell.out("run", "echo") == "\n"
    with ready.lock.open("a") as stream:
        stream.write("\n")
    assert shell.asks_python("run", "echo")
    ready.lock.unlink()
    assert shell.asks_python("run", "echo")


def test_asks_python_when_the_image_is_gone(shell: Shell, ready: Environment) -> None:
    tree = Path(os.readlink(ready.current / "tree"))
    tree.rename(tree.with_name("gone"))
    assert shell.asks_python("run", "echo")


def test_asks_python_where_nothing_is(shell: Shell, tmp_path: Path) -> None:
    shell.cwd = tmp_path
    assert shell.asks_python("run", "echo")
    shell.cwd = Path("/")
    assert shell.asks_python("run", "echo")


def test_a_launcher_that_came_with_a_copy_is_not_run(
    shell: Shell, ready: Environment, tmp_path: Path
) -> None:
    assert shell.out("run", "echo", "x") == "x\n"
    copy = tmp_path / "copy"
    shutil.copytree(ready.directory, copy, symlinks=True)
    shell.cwd = copy
    assert shell.asks_python("run", "echo")
    root = copy / ".dolmen/root"
    for text in ("", "\n\n", f"../../x\n{copy}\n", f"{'0' * 64}\n{copy}\n", f"*\n{copy}\n"):
        root.write_text(text)
        assert shell.asks_python("run", "echo")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("name", ["dolmen.toml", ".dolmen"])
def test_foreign_files_are_not_trusted(shell: Shell, ready: Environment, name: str) -> None:
    assert shell.out("run", "echo", "x") == "x\n"
    os.chown(ready.directory / name, 4242, 4242)
    assert shell.asks_python("run", "echo", "x")


def test_ad_hoc(shell: Shell, backend: FakeBackend, tmp_path: Path) -> None:
    arguments = ("shell", "-p", "jq", "-p", "curl", "--suite", "trixie", "--", "echo", "x")
    assert shell.asks_python(*arguments)
    specs = [parse_spec("jq"), parse_spec("curl")]
    environment = ad_hoc(specs, backend=backend, suite="trixie")
    prepare(environment, backend=backend, command="shell", mode="frozen")
    used = environment.state / "used"
    os.utime(used, (1, 1))
    shell.cwd = tmp_path
    assert shell.out(*arguments) == "x\n"
    assert used.stat().st_mtime > 1
    assert list(tmp_path.glob("dolmen*")) == []


def test_ad_hoc_of_the_hosts_suite(shell: Shell, backend: FakeBackend) -> None:
    ad_hoc([parse_spec("jq")], backend=backend)
    assert shell.out("run", "-p", "jq", "echo", "x") == "x\n"


def test_launchers_on_the_path(shell: Shell, ready: Environment) -> None:
    link = ready.state / "bin/jq"
    assert link.resolve() == (ready.current / "launch").resolve()


def test_a_command_that_is_missing_is_pythons(shell: Shell, tmp_path: Path) -> None:
    assert shell.out("run", "echo", "x") == "x\n"
    assert shell.asks_python("run", "cowsay")
    assert shell.asks_python("shell", "--", "cowsay")
    # What lies on PATH below the home directory is there inside too.
    local = tmp_path / "home/bin"
    local.mkdir(parents=True)
    (local / "cowsay").write_text("#!/bin/sh\necho moo\n")
    (local / "cowsay").chmod(0o755)
    there = {"HOME": str(tmp_path / "home"), "PATH": f"/usr/bin:/bin:{local}"}
    assert shell.out("run", "cowsay", env=there) == "moo\n"
    assert shell.out("run", "--auto", "echo", "x") == "x\n"
    assert shell.asks_python("shell", "--auto")


def test_packages_with_commas(shell: Shell, backend: FakeBackend, tmp_path: Path) -> None:
    """A script's first line has 255 characters at most: one -p serves several packages."""
    shell.cwd = tmp_path
    specs = [parse_spec("jq"), parse_spec("curl")]
    ad_hoc(specs, backend=backend, suite="trixie")
    arguments = ("run", "--suite", "trixie", "-p", "jq,curl", "--", "echo", "x")
    assert shell.out(*arguments) == "x\n"
    for wrong in (",jq", "jq,", "jq,,curl"):
        assert shell.asks_python("run", "-p", wrong, "--", "echo", "x")


def test_values_for_completions(shell: Shell, ready: Environment, tmp_path: Path) -> None:
    for name in ("hook.bash", "values.sh"):
        shutil.copy(FRONT.with_name(name), shell.front.with_name(name))
    assert shell.out("__values", "generation", "") == "1\n"
    assert shell.out("__values", "installed", "") == "base-files\njq\n"
    assert shell.out("__values", "requested", "") == "jq\n"
    assert shell.out("__values", "command", "j") == "jq\n"
    assert shell.out("__values", "command", "x") == ""
    lists = shell.backend.store_path / "archive/0/lists"
    lists.mkdir(parents=True)
    (lists / "x_Packages").write_text("Package: jq\n\nPackage: jqp\n\nPackage: curl\n")
    assert shell.out("__values", "package", "jq") == "jq\njqp\n"
    assert shell.out("__values", "package", "") == ""
    assert shell.out("__values", "package", "$(id)/;") == ""
    (lists.parent / "catalogue").write_text("{}\ncurl\tgets\t*\njq\tcuts\t*\n")
    assert shell.out("__values", "package", "j") == "jq\n"
    shell.cwd = tmp_path
    assert shell.out("__values", "generation", "") == ""
    assert shell.out("__values", "generation", "", str(ready.directory)) == "1\n"
