"""The verbs that only look: what they say about an environment whose backend is a fake."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from dolmen.cli import pager, table
from dolmen.support.errors import SolveError
from tests.lib.backend import FakeBackend
from tests.unit.cli.conftest import Say


@pytest.fixture
def project(say: Say) -> Say:
    assert say("install", "--dir", ".", "--suite", "bookworm", "jq", "curl").code == 0
    return say


def test_list(project: Say) -> None:
    said = project("list")
    assert said.code == 0
    assert [line.split()[:2] for line in said.out.splitlines()[:2]] == [
        ["curl", "7.88.1-10"],
        ["jq", "1.6-2"],
    ]
    assert "base-files" not in said.out
    assert "e  base-files" in project("list", "--all").out
    value = project("list", "--all", "--json").json
    assert [package["name"] for package in value] == ["base-files", "curl", "jq"]
    assert [package["requested"] for package in value] == [False, True, True]


def test_list_of_nothing(say: Say) -> None:
    say("init", "--suite", "bookworm")
    said = say("list", "--json")
    assert (said.code, said.json["error"]["reason"]) == (9, "no-lock")
    assert say("list", "--dir", "elsewhere").code == 3


def test_tree(project: Say) -> None:
    said = project("tree")
    assert said.code == 0
    assert said.out.splitlines() == ["curl 7.88.1-10", "jq 1.6-2"]
    assert project("tree", "--json", "jq").json[0]["name"] == "jq"
    assert project("tree", "--invert", "jq").out == "jq 1.6-2\n"
    assert project("tree", "--invert").code == 2
    assert project("tree", "nothing", "--json").json["error"]["reason"] == "not-installed"


def test_why(project: Say) -> None:
    assert "was asked for" in project("why", "jq").out
    assert "is Essential" in project("why", "base-files").out
    assert "base-files" in project("why", "-").out
    value = project("why", "--json", "jq").json
    assert (value["requested"], value["chains"]) == (True, [])
    assert project("why", "nothing", "--json").json["error"]["reason"] == "not-installed"


def test_why_not(project: Say, backend: FakeBackend) -> None:
    assert "jq is here: jq 1.6-2" in project("why-not", "jq").out
    said = project("why-not", "python3")
    assert said.code == 0
    assert "Nothing prevents python3" in said.out
    assert "+ python3 3.11.2-1" in said.out
    value = project("why-not", "--json", "nothing").json
    assert (value["possible"], value["reason"]) == (False, "unknown-package")
    backend.failures["solve"] = SolveError("they hate each other", reason="unsatisfiable")
    said = project("why-not", "python3")
    assert (said.code, "they hate each other" in said.out) == (0, True)
    assert "python3" not in Path("dolmen.toml").read_text()
    assert project("why-not", "jq;id", "--json").json["error"]["reason"] == "bad-spec"


def test_tables_fit() -> None:
    cells = [("a", "1", "short"), ("bb", "22", "a description that is much too long")]
    assert list(table.rows(cells, limit=0))[1].endswith("too long")
    lines = list(table.rows(cells, limit=24, right=(1,)))
    assert lines[0].startswith("a    1  short")
    assert all(table.columns(line) <= 24 for line in lines)
    assert lines[1].endswith("…")
    assert list(table.rows([], limit=10)) == []


def test_cells_cannot_act_on_the_terminal() -> None:
    (line,) = table.rows([("a\x1b[31m", "b\nc\u202e")], limit=0)
    assert "\x1b" not in line
    assert "\n" not in line
    assert "\u202e" not in line


def test_wide_characters_take_two_columns() -> None:
    assert table.columns("日本") == 4
    assert table.columns("e\u0301") == 1
    assert table.cut("日本語", 5) == "日本…"


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"PAGER": "cat"}, []),
        ({"PAGER": ""}, []),
        ({"PAGER": "no-such-program-here"}, []),
        ({"PAGER": "sh -c 'x"}, []),
        ({"PAGER": "sh -c x", "DOLMEN_PAGER": "sh"}, ["sh"]),
        ({"PAGER": "sh -c x"}, ["sh", "-c", "x"]),
    ],
)
def test_the_pager_is_the_users(variables: dict[str, str], command: list[str]) -> None:
    assert pager.pager(variables) == command


def test_paging_on_a_terminal(tmp_path: Path) -> None:
    """In a child: the pager takes its place."""
    out = tmp_path / "out"
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from dolmen.cli import pager\n"
        "from dolmen.cli.session import Session\n"
        "pager.show((f'line {n}' for n in range(500)), Session())\n"
    )
    pid, fd = pty.fork()
    if pid == 0:
        environment = {
            "PATH": "/usr/bin:/bin",
            "DOLMEN_PAGER": f"sh -c 'cat >{out}'",
            "LC_ALL": "C.UTF-8",
        }
        os.execve(sys.executable, [sys.executable, "-c", script], environment)
    try:
        while os.read(fd, 4096):
            pass
    except OSError:
        pass  # the child has closed its side
    assert os.waitpid(pid, 0)[1] == 0
    assert out.read_text().splitlines() == [f"line {n}" for n in range(500)]
