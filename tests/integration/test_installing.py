"""Dolmen as it is installed: by `make install`, and as a Debian package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dolmen import __version__
from dolmen.support.run import CLEAN_ENVIRONMENT, Completed, run
from tests.lib.command import Dolmen

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the project as an unpacked release has it: without git, without leftovers."""
    copy = tmp_path / "dolmen"
    leftovers = (".git", ".venv", "build", ".*_cache", "__pycache__", ".hypothesis", ".pybuild")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*leftovers))
    return copy


def make(tree: Path, *arguments: str) -> Completed:
    done = run(["make", "-C", str(tree), *arguments], timeout=120, cwd=tree)
    assert done.ok, done.stderr.decode()
    return done


def files(directory: Path) -> set[str]:
    return {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}


def test_make_explains_itself(tree: Path) -> None:
    text = make(tree).stdout.decode()
    for target in ("install", "demo", "check", "bench", "deb", "help"):
        assert f"  make {target} " in text


def test_installed_from_the_tree_the_command_works(tree: Path, tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    make(tree, "install", f"DESTDIR={staged}")
    make(tree, "install", f"DESTDIR={staged}")  # once more, over itself
    found = files(staged)
    assert {
        "usr/local/bin/dolmen",
        "usr/local/share/man/man1/dolmen.1",
        "usr/local/share/bash-completion/completions/dolmen",
        "usr/local/share/dolmen/direnv.bash",
    } <= found
    assert not [name for name in found if name.endswith(".new")]
    view = ["bwrap", "--dev-bind", "/", "/", "--bind", str(staged / "usr/local"), "/usr/local"]
    done = run([*view, "/usr/local/bin/dolmen", "--version"], timeout=60, cwd=tmp_path)
    assert done.stdout.decode() == f"dolmen {__version__}\n", done.stderr.decode()
    make(tree, "uninstall", f"DESTDIR={staged}")
    assert files(staged) == set()


def test_a_prefix_that_python_does_not_search_is_refused(tree: Path, tmp_path: Path) -> None:
    argv = ["make", "-C", str(tree), "install", f"DESTDIR={tmp_path}/x", "PREFIX=/opt"]
    assert run(argv, timeout=60).returncode == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(not shutil.which("dh"), reason="needs debhelper")
def test_the_debian_package_is_without_faults(tree: Path) -> None:
    build = ["dpkg-buildpackage", "--build=binary", "--unsigned-source", "--unsigned-changes"]
    environment = {**CLEAN_ENVIRONMENT, "HOME": str(tree.parent)}
    done = run(build, timeout=300, cwd=tree, env=environment)
    assert done.ok, done.stderr.decode()
    (package,) = tree.parent.glob("dolmen_*_all.deb")
    listing = run(["dpkg-deb", "--contents", str(package)], timeout=60).stdout.decode()
    names = {line.split()[-1] for line in listing.splitlines()}
    assert {
        "./usr/bin/dolmen",
        "./usr/lib/python3/dist-packages/dolmen/__main__.py",
        "./usr/lib/python3/dist-packages/dolmen/data/front.sh",
        "./usr/share/man/man1/dolmen.1.gz",
        "./usr/share/zsh/vendor-completions/_dolmen",
        "./usr/share/dolmen/hook.fish",
    } <= names
    data = {f"./usr/lib/python3/dist-packages/dolmen/data/{p.name}" for p in _data(tree)}
    assert data <= names
    if shutil.which("lintian"):
        done = run(["lintian", "--fail-on", "error", str(package)], timeout=300, env=environment)
        assert done.ok, done.stdout.decode()


def _data(tree: Path) -> list[Path]:
    return [path for path in (tree / "src/dolmen/data").iterdir() if path.is_file()]


def test_the_shell_completes_verbs_and_options(dolmen_command: Dolmen) -> None:
    def complete(words: str, position: int) -> set[str]:
        asked = {
            "_DOLMEN_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }
        text = dolmen_command.ok(env=asked)
        return {line.partition(",")[2] for line in text.splitlines()}

    assert {"init", "install"} <= complete("dolmen in", 1)
    assert "--dry-run" in complete("dolmen install --d", 2)


def test_the_man_page_is_sound(tmp_path: Path) -> None:
    script = str(ROOT / "scripts/generate.py")
    done = run(["/usr/bin/python3", script, str(tmp_path)], timeout=60)
    assert done.ok, done.stderr.decode()
    page = (tmp_path / "man/man1/dolmen.1").read_text()
    for verb in ("init", "install", "run", "verify"):
        assert f".SS \\fBdolmen {verb}\\fR" in page
    if shutil.which("man"):
        env = {**CLEAN_ENVIRONMENT, "MANWIDTH": "80", "HOME": os.fspath(tmp_path)}
        done = run(
            ["man", "--warnings", "-l", str(tmp_path / "man/man1/dolmen.1")], timeout=60, env=env
        )
        assert done.ok
        assert done.stderr == b""
