"""What only looks at a repository, typed both ways: past click and through it, and as ostree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dolmen.cli import reading
from dolmen.cli.main import main
from dolmen.cli.verbs.store import VERBS
from dolmen.support.run import run

SOURCE = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("looked")
    (top / "tree/d").mkdir(parents=True)
    (top / "tree/d/f").write_text("one\n")
    (top / "tree/l").symlink_to("d/f")
    ostree(top, "--repo=repo", "init", "--mode=archive")
    commit = ("--repo=repo", "commit", "-b", "main", "--canonical-permissions", "tree")
    ostree(top, *commit, "-s", "first")
    (top / "tree/d/f").write_text("two\n")
    ostree(top, *commit, "-s", "second", "-m", "text", "--add-metadata-string=version=3")
    ostree(top, "--repo=repo", "refs", "--create=a/b", "main")
    ostree(top, "--repo=repo", "summary", "-u")
    return top


def ostree(here: Path, *argv: str) -> str:
    done = subprocess.run(["ostree", *argv], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


SAME = [
    "log main",
    "log --raw main",
    "show main",
    "show --raw a/b",
    "show -B main",
    "show --print-metadata-key=version main",
    "ls main",
    "ls -R main",
    "ls -RC main",
    "ls -X main",
    "ls -d main /d",
    "ls main /l /d/f",
    "cat main /d/f d/f",
    "cat main^ l",
    "diff main",
    "diff main^ main --stats --fs-diff",
    "diff main^ ./tree --owner-uid=0 --owner-gid=0",
    "rev-parse main main^",
    "refs",
    "refs a",
    "refs --list a",
    "summary --view",
    "summary --raw",
    "prune --no-prune --refs-only --depth=0",
]


@pytest.mark.parametrize("words", SAME)
def test_both_ways_and_ostree(
    words: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    verb, *rest = words.split()
    theirs = ostree(place, "--repo=repo", verb, *rest)
    capfd.readouterr()
    assert reading.look(["--repo=repo", verb, *rest]) == 0
    quick = capfd.readouterr().out
    assert main(["store", verb, *rest, "--repo", "repo"]) == 0
    assert capfd.readouterr().out == quick == theirs


@pytest.mark.parametrize("words", [words for words in SAME if "--raw" not in words])
def test_json_both_ways(
    words: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    argv = ["--repo=repo", *words.split(), "--json"]
    assert reading.look(argv) == 0
    quick = capfd.readouterr().out
    assert main(["store", *argv]) == 0
    assert capfd.readouterr().out == quick
    for line in quick.splitlines():
        json.loads(line)


def test_what_is_not_understood_is_clicks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for words in (
        "--repo=repo",
        "log main",
        "--repo=repo log",
        "--repo=repo log main other",
        "--repo=repo log main -n x",
        "--repo=repo log main -n 0",
        "--repo=repo log main -n",
        "--repo=repo log --none main",
        "--repo=repo log --raw=yes main",
        "--repo=repo log --help",
        "--repo=repo ls -RQ main",
        "--repo=repo cat main",
        "--repo=repo export main --compress=lzma",
        "--repo=repo commit -b main --none tree",
        "--repo=repo reset main main",
        "--repo",
    ):
        assert reading.look(words.split()) is None, words


def test_errors_both_ways(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    for words, code in (
        ("--repo=none log main", 7),
        ("--repo=repo log none", 7),
        ("--repo=repo cat main /none", 7),
        ("--repo=repo rev-parse", 2),
        ("--repo=repo summary", 2),
        ("--repo=repo ls main /l/x", 7),
    ):
        assert reading.look(words.split()) == code, words
        quick = capfd.readouterr()
        assert main(["store", *words.split()]) == code
        assert capfd.readouterr() == quick


def test_bars_are_drawn_without_site() -> None:
    """front.sh starts `store` with -S; rich is one of Debian's packages."""
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r});"
        "from dolmen.cli.session import Session; from dolmen.support import events;"
        "Session().emit(events.PhaseStarted(events.Phase.CHECK, 1)); import rich.progress"
    )
    assert run(["/usr/bin/python3", "-I", "-S", "-c", script], timeout=60).ok


def test_every_reader_is_a_verb() -> None:
    assert {name: VERBS[name][0] for name in reading.READERS} == reading.READERS


def test_looking_loads_little(place: Path) -> None:
    """Neither click nor libostree, and nothing that costs more than the work."""
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.stdout = open('/dev/null', 'w');"
        "from dolmen.cli.quick import quick;"
        f"quick(['store', '--repo={place}/repo', 'log', 'main']);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = run([sys.executable, "-I", "-S", "-c", script], timeout=60)
    loaded = set(done.stderr.decode().split())
    assert "dolmen.store.repo.commits" in loaded
    heavy = ("click", "gi", "re", "typing", "dataclasses", "pathlib", "subprocess", "hashlib")
    assert [name for name in heavy if name in loaded] == []
