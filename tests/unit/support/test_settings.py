"""Durations, sizes, and the user's settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dolmen.environment.configuring import change_setting
from dolmen.support import settings
from dolmen.support.errors import DeclarationError, UsageError
from dolmen.support.quantities import parse_duration, parse_size

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    where = tmp_path / "config/config.toml"
    monkeypatch.setenv("DOLMEN_CONFIG", str(where))
    return where


@pytest.mark.parametrize(
    ("text", "value"), [("45s", 45), ("90m", 5400), ("2 h", 7200), ("30d", 2592000), ("1w", 604800)]
)
def test_durations(text: str, value: float) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "d", "30", "-3d", "3x", "3d2h", "1e3s", "٣d", "9" * 30 + "d"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("10K", 10240), ("1.5 GiB", 3 << 29), ("2g", 2 << 30), ("7B", 7)]
)
def test_sizes(text: str, value: int) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize("text", ["", "G", "-1G", "1P", "1,5G", "nan"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_defaults_without_a_file(path: Path) -> None:
    assert settings.get("keep-debs") is True
    assert settings.get("gc.keep") is None
    assert settings.seconds("gc.grace") == 7 * 86400
    assert not path.exists()


def test_set_and_unset_keep_what_else_is_there(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("# mine\n[gc]\ngrace = '2d' # short\n")
    change_setting("gc.keep", 3)
    change_setting("keep-debs", False)
    text = path.read_text()
    assert "# mine" in text
    assert "# short" in text
    assert (settings.get("gc.keep"), settings.get("keep-debs")) == (3, False)
    assert settings.seconds("gc.grace") == 2 * 86400
    change_setting("gc.keep", None)
    change_setting("gc.dead-roots", None)
    assert settings.get("gc.keep") is None
    assert settings.get("keep-debs") is False


@pytest.mark.parametrize("key", settings.KEYS.values(), ids=lambda key: key.name)
def test_every_key_takes_its_default_and_something(key: settings.Key, path: Path) -> None:
    examples = {"snapshots": "https://h/", "gc.keep": "5", "keep-debs": "no"}
    value = settings.parse_value(key.name, examples.get(key.name, "3d"))
    change_setting(key.name, value)
    assert settings.get(key.name) == value
    if key.default is not None:
        assert settings.parse_value(key.name, str(key.default).lower()) == key.default


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("gc.kepe", "1", "unknown-setting"),
        ("gc", "1", "unknown-setting"),
        ("gc.keep", "0", "bad-setting"),
        ("gc.keep", "many", "bad-setting"),
        ("gc.grace", "soon", "bad-setting"),
        ("keep-debs", "perhaps", "bad-setting"),
        ("snapshots", "ftp://h", "bad-setting"),
        ("snapshots", "https://h\n", "bad-setting"),
    ],
)
def test_nonsense_is_refused(name: str, value: str, reason: str) -> None:
    if reason == "bad-setting" and name == "snapshots" and value.endswith("\n"):
        assert settings.parse_value(name, value) == "https://h"
        return
    with pytest.raises(UsageError) as caught:
        settings.parse_value(name, value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text", ["x", "[gc]\nkeep = 'x'", "nothing = 1", "keep-debs = [true]", "gc = 3", "\udcff"]
)
def test_a_damaged_file_is_told_and_not_written(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(DeclarationError) as caught:
        settings.get("gc.keep")
    assert caught.value.reason == "bad-settings"
    with pytest.raises(DeclarationError) as caught:
        change_setting("gc.keep", 2)
    assert caught.value.reason == "bad-settings"
    assert path.read_bytes() == before


def test_every_key_is_documented_and_read() -> None:
    text = (ROOT / "docs/history.md").read_text().split("## Settings")[1]
    rows = dict(re.findall(r"^\| `([a-z.-]+)` \| (?:`(.*?)`)? ?\|", text, re.M))
    defaults = {
        key.name: "" if key.default is None else str(key.default).lower()
        for key in settings.KEYS.values()
    }
    assert rows == defaults
    sources = [p.read_text() for p in (ROOT / "src").rglob("*.py") if p.name != "settings.py"]
    for name in settings.KEYS:
        assert any(f'"{name}"' in source for source in sources), name
