"""Looking at an environment and at the real archive, through the command."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.lib.command import Dolmen

pytestmark = pytest.mark.network

#: Ports that refuse: whatever asks a network for something fails at once.
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def project(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    """A directory with jq and a vi, shared by tests that only look."""
    directory = tmp_path_factory.mktemp("looking") / "project"
    directory.mkdir()
    dolmen = Dolmen(installed_source, directory, session_store)
    dolmen.ok("install", "--dir", directory, "--suite", "bookworm", "jq", "vim-tiny")
    dolmen.ok("search", "jq")
    return dolmen


def test_searching_offline(project: Dolmen) -> None:
    value = project.json("search", "jq", env=OFFLINE)
    assert value["hits"][0]["name"] == "jq"
    assert value["hits"][0]["installed"] == value["hits"][0]["version"]
    assert value["total"] > len(value["hits"])
    everything = project.json("search", "--limit", "0", "jq", env=OFFLINE)
    names = [hit["name"] for hit in everything["hits"]]
    assert len(names) == everything["total"]
    assert 0 < names.index("jqp") < names.index("libjq1")
    lines = project.ok("search", "command-line", "json", "processor", env=OFFLINE).splitlines()
    assert any(line.startswith("i") and " jq " in line for line in lines)
    assert project("search", "no-such-word-anywhere", env=OFFLINE).returncode == 1


def test_searching_outside_of_an_environment(project: Dolmen, tmp_path: Path) -> None:
    value = project.json("search", "--suite", "bookworm", "jq", cwd=tmp_path, env=OFFLINE)
    assert value["hits"][0]["name"] == "jq"
    assert value["hits"][0]["installed"] is None


def test_listing(project: Dolmen) -> None:
    value = project.json("list")
    assert [package["name"] for package in value] == ["jq", "vim-tiny"]
    everything = project.json("list", "--all")
    lock = (project.directory / "dolmen.lock").read_text()
    assert len(everything) == lock.count("\nPackage: ")
    assert project.json("list", "--all", "--outdated", env=OFFLINE) == []


def test_showing(project: Dolmen) -> None:
    value = project.json("show", "libjq1", env=OFFLINE)
    assert value["installed"] is True
    assert value["why"] == ["jq", "libjq1"]
    assert "\n" in value["description"]
    assert any(version["chosen"] for version in value["versions"])
    value = project.json("show", "cowsay", env=OFFLINE)
    assert (value["installed"], value["suite"]) == (False, "bookworm")
    assert dict(value["relations"])["Depends"].startswith("libtext-charwidth-perl")
    assert "postfix" in project.json("show", "mail-transport-agent", env=OFFLINE)["providers"]
    done = project("show", "--json", "crul", env=OFFLINE)
    assert done.returncode == 4
    assert json.loads(done.stdout)["error"]["hint"] == "dolmen show curl"


def test_commands_of_the_environment(project: Dolmen) -> None:
    (owner,) = project.json("which", "vi", env=OFFLINE)["installed"]
    assert (owner["package"], owner["how"]) == ("vim-tiny", "alternative")
    assert owner["target"] == "usr/bin/vim.tiny"
    (owner,) = project.json("which", "awk", env=OFFLINE)["installed"]
    assert owner["package"] == "mawk"
    (owner,) = project.json("which", "/bin/jq", env=OFFLINE)["installed"]
    assert (owner["package"], owner["how"]) == ("jq", "ships")


def test_commands_of_the_archive(project: Dolmen) -> None:
    first = project("which", "--json", "cowsay")
    if first.returncode == 5:
        answer = json.loads(first.stdout)["error"]
        assert answer["reason"] in ("hash-mismatch", "mirror-gone")
        pytest.skip(f"the mirror's Contents index does not fit its Release file: {answer}")
    assert json.loads(first.stdout)["offered"][0]["package"] == "cowsay"
    for name, package in (
        ("rg", "ripgrep"),
        ("java", "default-jre-headless"),
        ("convert", "imagemagick"),
        ("stdio.h", "libc6-dev"),
        ("/usr/share/doc/cowsay/README", "cowsay"),
    ):
        value = project.json("which", name, env=OFFLINE)
        assert value["offered"][0]["package"] == package, name
    done = project("which", "no-such-command-anywhere", env=OFFLINE)
    assert done.returncode == 1
    assert b"dolmen show ripgrep" in project("which", "ripgrep", env=OFFLINE).stdout


def test_why_with_proof(project: Dolmen) -> None:
    value = project.json("why", "libjq1", env=OFFLINE)
    (chain,) = value["chains"]
    (step,) = chain["steps"]
    assert (step["package"], step["needs"]) == ("jq", "libjq1")
    assert step["proofs"][0]["kind"] == "library"
    assert step["proofs"][0]["file"] == "usr/bin/jq"
    assert step["proofs"][0]["needs"] == "libjq.so.1"
    text = project.ok("why", "libonig5", env=OFFLINE)
    assert "jq was asked for" in text
    assert "is linked to libonig.so.5" in text


def test_why_not(project: Dolmen) -> None:
    before = (project.directory / "dolmen.toml").read_text()
    value = project.json("why-not", "cowsay")
    assert value["possible"] is True
    assert "cowsay" in [change["name"] for change in value["changes"]["added"]]
    value = project.json("why-not", "jq=99")
    assert (value["possible"], value["reason"]) == (False, "unknown-version")
    assert project.json("why-not", "jq")["changes"] is None
    assert (project.directory / "dolmen.toml").read_text() == before


def test_trees(project: Dolmen) -> None:
    text = project.ok("tree", "jq")
    assert text.startswith("jq ")
    assert "├── libc6 " in text
    assert "libgcc-s1" in text
    assert "└── jq " in project.ok("tree", "--invert", "libjq1")
    latin = project.ok("tree", "jq", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert "|-- libc6 " in latin or "├── libc6 " in latin


@pytest.mark.parametrize("argv", [["search", "jq"], ["which", "jq"], ["list"]])
def test_looking_is_quick(project: Dolmen, argv: list[str]) -> None:
    """Nothing heavy is loaded; the time is generous, since the machine may be busy."""
    main = project.source / "dolmen/__main__.py"
    started = time.monotonic()
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-X", "importtime", main, *argv],
        cwd=project.directory, env=project.environment(OFFLINE), capture_output=True, timeout=60,
        check=True,
    )  # fmt: skip
    elapsed = time.monotonic() - started
    imported = {line.split("|")[-1].strip() for line in done.stderr.decode().splitlines()}
    assert "dolmen.cli.main" in imported
    assert not imported & {"apt_pkg", "gi", "rich", "tomlkit", "http.client"}
    assert elapsed < 2
