"""The user's settings: `config.toml` in $XDG_CONFIG_HOME/dolmen, or the file DOLMEN_CONFIG names.

Settings say how this user's Dolmen behaves, never what an environment holds: a manifest gives the
same image whatever stands here. Every key is read somewhere; `KEYS` says what for.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dolmen.support.errors import DeclarationError, UsageError
from dolmen.support.quantities import parse_duration

VARIABLE = "DOLMEN_CONFIG"
Value = str | int | bool

_URI = re.compile(r"(https?|file)://[!-~]+")
_MAX_SIZE = 64 << 10


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its default (None: unset), what it does, and how a text becomes its value."""

    name: str
    default: Value | None
    help: str
    parse: Callable[[str], Value]


def _duration(text: str) -> str:
    parse_duration(text)
    return text.strip()


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if text.strip().lower() not in words:
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return words[text.strip().lower()]


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text.strip()):
        raise ValueError(f"{text[:40]!r} is no number from 1 to 999999")
    return int(text)


def _words(text: str) -> str:
    words = text.split()
    if not words or any(not word.isprintable() for word in words):
        raise ValueError(f"{text[:80]!r} names no peer")
    return " ".join(words)


def _uri(text: str) -> str:
    if not _URI.fullmatch(text.strip()):
        raise ValueError(f"{text[:80]!r} is no http, https or file URI")
    return text.strip()


KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key(
            "snapshots",
            None,
            "The snapshot service: the part of its URIs before /archive/. DOLMEN_SNAPSHOTS wins.",
            _uri,
        ),
        Key("refresh-age", "24h", "Age at which a package index is fetched again.", _duration),
        Key("keep-debs", True, "Whether gc keeps the .debs of what is in use.", _boolean),
        Key("gc.keep", None, "gc: generations of each directory that stay (--keep).", _count),
        Key("gc.older-than", None, "gc: age at which generations go (--older-than).", _duration),
        Key(
            "gc.grace",
            "7d",
            "gc: age at which packages, .debs and logs go that nothing needs (--grace).",
            _duration,
        ),
        Key(
            "gc.dead-roots",
            "30d",
            "gc: how long a directory that is gone keeps its images (--dead-roots).",
            _duration,
        ),
        Key("gc.shells", "7d", "Age at which unused ad-hoc environments go.", _duration),
        Key("gc.quarantine", "30d", "Age at which goes what repairs have replaced.", _duration),
        Key("peers", None, "repair: stores and repositories to ask, apart by spaces.", _words),
    )
}


def settings_path() -> Path:
    """Where the settings are, or would be."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    base = os.environ.get("XDG_CONFIG_HOME", "")
    directory = Path(base) if base.startswith("/") else Path.home() / ".config"
    return directory / "dolmen/config.toml"


def get(name: str) -> Value | None:
    """One setting, or its default; raises DeclarationError ("bad-settings")."""
    return load(settings_path()).get(name, KEYS[name].default)


def seconds(name: str) -> float | None:
    """A setting that is a duration."""
    value = get(name)
    return None if value is None else parse_duration(str(value))


def load(path: Path) -> Mapping[str, Value]:
    """What the file sets; {} where there is none. Raises DeclarationError ("bad-settings")."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    return _load(path, status.st_mtime_ns, status.st_size)


@cache
def _load(path: Path, _time: int, size: int) -> Mapping[str, Value]:
    try:
        if size > _MAX_SIZE:
            raise ValueError("it is larger than 64 KiB")
        return parse_settings(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DeclarationError(
            f"the settings cannot be used: {error}",
            reason="bad-settings",
            context=str(path),
            hint=f"edit {path}; dolmen config list shows every key",
        ) from None


def parse_settings(text: str) -> Mapping[str, Value]:
    """Read the text of a settings file; raises ValueError."""
    found: dict[str, Value] = {}
    for name, value in _flat(tomllib.loads(text), ""):
        key = KEYS.get(name)
        if key is None:
            raise ValueError(f"there is no setting {name[:80]!r}")
        if not isinstance(value, str | int):
            raise ValueError(f"{name} is neither a text, a number nor true or false")
        spelt = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            found[name] = key.parse(spelt)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def find(name: str) -> Key:
    """A key by name; raises UsageError ("unknown-setting")."""
    if name in KEYS:
        return KEYS[name]
    import difflib

    near = difflib.get_close_matches(name, KEYS, n=1)
    raise UsageError(
        f"there is no setting {name[:40]!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        reason="unknown-setting",
        hint="dolmen config list",
    )


def parse_value(name: str, text: str) -> Value:
    """A value as typed; raises UsageError ("unknown-setting", "bad-setting")."""
    key = find(name)
    try:
        return key.parse(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}", reason="bad-setting", context=key.help) from None


def _flat(table: Mapping[str, object], prefix: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found
