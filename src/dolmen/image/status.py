"""Reading a dpkg database that dpkg and apt themselves have written."""

from __future__ import annotations

from pathlib import Path

from dolmen.image.admin import ADMIN
from dolmen.model.installed import Installed, parse_status

STATUS = f"{ADMIN}/status"
EXTENDED_STATES = "var/lib/apt/extended_states"


def read_status(status: Path, extended_states: Path) -> dict[tuple[str, str], Installed]:
    """All packages but those of which only configuration is left; no file is no package."""
    return parse_status(_text(status), _text(extended_states))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
