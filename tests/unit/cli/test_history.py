"""Generations, history, diff, gc, du, roots and config as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.cli.quick import quick
from dolmen.cli.session import Session
from tests.lib.storing import StoreBackend
from tests.unit.cli.conftest import Say


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreBackend:
    """The fake on a real store, since these verbs look into it."""
    made = StoreBackend(tmp_path / "store")
    monkeypatch.setattr(Session, "backend", lambda self: made)
    monkeypatch.setenv("DOLMEN_STORE", str(made.store_path))
    monkeypatch.setenv("DOLMEN_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("NO_COLOR", "1")
    return made


@pytest.fixture
def two(say: Say) -> Say:
    """An environment with two generations."""
    assert say("init", "--suite", "bookworm").code == 0
    assert say("install", "jq=1.0", "curl").code == 0
    assert say("install", "jq=2.0").code == 0
    return say


def test_generations(two: Say) -> None:
    lines = two("generations").out.splitlines()
    assert lines[0].split()[:1] == ["1"]
    assert lines[1].split()[:2] == ["*", "2"]
    assert lines[1].endswith("install jq=2.0")
    assert "~1" in lines[1]
    sized = two("generations", "--sizes", "--json").json
    assert [entry["generation"]["number"] for entry in sized] == [1, 2]
    assert all(entry["size"]["total"] > entry["size"]["own"] > 0 for entry in sized)


def test_names_and_pins(two: Say) -> None:
    assert two("generations", "name", "1", "old").out == "Generation 1 is named old\n"
    assert two("generations", "pin", "old", "--json").json["pinned"] is True
    assert "(old)  pinned" in two("generations").out
    assert two("generations", "name", "2", "old", "--json").code == 3
    assert two("generations", "remove", "1", "--json").json["error"]["reason"] == (
        "generation-pinned"
    )
    assert two("switch", "old").out.startswith("Generation 1 (old) is live")
    assert two("switch", "-").out.startswith("Generation 2 is live")
    assert two("generations", "unpin", "1").code == two("generations", "unname", "1").code == 0
    assert two("generations", "remove", "1").out == "Removed generation 1\n"
    assert two("generations", "rename", "1").code == 2
    assert two("generations", "--help").code == 0
    assert two("generations", "pin", "--help").code == 0


def test_history(two: Say) -> None:
    two("rollback")
    lines = two("history").out.splitlines()
    assert len(lines) == 3
    assert "2 → 1" in lines[2]
    assert lines[2].endswith("rollback")
    assert two("history", "-n", "1", "--json").json[0]["before"] == 2


def test_diff(two: Say) -> None:
    said = two("diff")
    assert said.out.splitlines()[0] == "generation 1 → generation 2: 1 changed"
    assert "CVE-2026-2000" in said.out
    assert "~ /etc/jq.conf  (conffile)" in said.out
    assert "/usr/bin/jq" not in said.out
    assert "/usr/bin/jq" in two("diff", "--files").out
    assert "+version 2.0" in two("diff", "--conf").out
    assert two("diff", "2", "1", "--json").json["undone_cves"] == ["CVE-2026-2000"]
    assert two("diff", "1", "9").code == 3


def test_diff_as_markdown(two: Say) -> None:
    text = two("diff", "--markdown", "--conf").out
    assert "| ~ | **jq** | 1.0 | 2.0 |  |" in text
    assert text.count("<details>") == text.count("</details>") == 3
    assert text.count("```") % 2 == 0


def test_diff_of_locks_needs_no_environment(two: Say, tmp_path: Path) -> None:
    Path(".dolmen/generations/1/dolmen.lock").rename(tmp_path / "old.lock")
    Path("dolmen.lock").rename(tmp_path / "new.lock")
    Path("dolmen.toml").unlink()
    said = two("diff", str(tmp_path / "old.lock"), str(tmp_path / "new.lock"))
    assert said.code == 0
    assert "1.0 → 2.0" in said.out


def test_gc(two: Say, backend: StoreBackend) -> None:
    two("install", "jq=3.0")
    said = two("gc", "--dry-run", "--keep", "1", "--grace", "0s")
    assert "Would remove generation 1 of " in said.out
    assert two("gc", "--keep", "1", "--grace", "0s").out.splitlines()[-1].startswith("Freed ")
    assert [g["generation"]["number"] for g in two("generations", "--json").json] == [2, 3]
    assert two("gc", "--grace", "0s").out == "Nothing to remove\n"
    for wrong in (["--older-than", "soon"], ["--keep", "0"], ["--free", "much"]):
        assert two("gc", *wrong).code == 2


def test_gc_heeds_the_settings_unless_told_otherwise(two: Say) -> None:
    two("install", "jq=3.0")
    two("config", "set", "gc.keep", "1")
    assert len(two("gc", "--dry-run", "--json").json["generations"]) == 1
    assert two("gc", "--dry-run", "--keep", "3", "--json").json["generations"] == []


def test_du_and_roots(two: Say) -> None:
    used = two("du", "--json").json
    assert used["environments"][0]["usage"]["own"] > 0
    assert "generation 2" in two("du", "-g").out
    here = str(Path().resolve())
    assert here in two("roots").out
    assert two("roots", "forget", here).code == 0
    assert two("roots", "--json").json == []
    assert two("roots", "forget", here, "--json").json["error"]["reason"] == "no-root"


def test_config(say: Say) -> None:
    assert say("config", "get", "gc.grace").out == "7d\n"
    assert say("config", "set", "gc.grace", "2d").out == "gc.grace = 2d\n"
    assert say("config", "get", "gc.grace", "--json").json == {"name": "gc.grace", "value": "2d"}
    assert "*  gc.grace" in say("config").out
    assert say("config", "list", "--json").json["settings"][0]["name"] == "snapshots"
    assert say("config", "unset", "gc.grace").code == 0
    assert say("config", "set", "gc.grcae", "2d", "--json").json["error"]["reason"] == (
        "unknown-setting"
    )
    assert say("config", "set", "gc.grace", "x").code == 2


@pytest.mark.parametrize(
    "argv",
    [
        ["rollback"],
        ["switch", "1"],
        ["switch", "-"],
        ["switch", "old"],
        ["switch", "7"],
        ["-C", ".", "rollback"],
        ["--dir", "nowhere", "rollback"],
    ],
)
def test_the_quick_way_comes_to_the_same(
    two: Say, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    two("generations", "name", "1", "old")
    said = two(*argv)
    two("rollback") if said.code == 0 else None
    capsys.readouterr()
    code = quick(argv)
    out, err = capsys.readouterr()
    assert (code, out, err) == (said.code, said.out, said.err)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--help"],
        ["switch"],
        ["switch", "--help"],
        ["switch", "1", "2"],
        ["switch", "--json", "1"],
        ["rollback", "--json"],
        ["rollback", "x"],
        ["--store", "x", "rollback"],
        ["install"],
    ],
)
def test_what_is_not_plain_is_left_to_click(argv: list[str]) -> None:
    assert quick(argv) is None
