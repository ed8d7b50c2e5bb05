"""Changing the user's settings, with comments and order kept."""

from __future__ import annotations

from dolmen.model.editing import set_setting
from dolmen.support import settings
from dolmen.support.errors import HostError
from dolmen.support.files import write_atomic
from dolmen.support.locking import locked


def change_setting(name: str, value: settings.Value | None) -> None:
    """Set a key, or take it away (None).

    Raises DeclarationError ("bad-settings": mend the file first), HostError ("read-only").
    """
    path = settings.settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.with_name(f".{path.name}.lock"), what="the settings"):
            settings.load(path)
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            after = set_setting(before, name, value)
            settings.parse_settings(after)
            if after != before:
                write_atomic(path.resolve(), after)
    except OSError as error:
        raise HostError(
            f"the settings cannot be written: {error.strerror}",
            reason="read-only",
            context=str(path),
            hint=f"ls -ld {path.parent}",
        ) from error
