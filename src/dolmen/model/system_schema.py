"""The `[system]` table's part of the JSON schema, of the parser's own patterns."""

from __future__ import annotations

import re
from typing import Any

from dolmen.model import manifest, spec, system

_Value = dict[str, Any]


def system_schema() -> _Value:
    """The schema of `[system]`."""
    unit, absolute = _text(system.UNIT), _text(system.ABSOLUTE)
    size = _text(system.SIZE)
    user = _table(
        {
            "name": _text(system.USER),
            "uid": {"type": "integer", "minimum": 1, "maximum": 59999},
            "groups": _list(_text(system.USER)),
            "shell": absolute,
            "comment": _text(system.COMMENT),
            "home": absolute,
            "ssh-keys": _list(_text(system.SSH_KEY)),
            "password": _text(system.HASH),
            "system": {"type": "boolean"},
        },
        "name",
    )
    file = _table(
        {
            "path": absolute,
            "source": _text(manifest.PATH),
            "text": {"type": "string"},
            "link": _text(system.LINK),
            "mode": _text(system.MODE),
            "owner": _text(system.USER),
            "group": _text(system.USER),
        },
        "path",
    )
    disk = _table(
        {
            "filesystem": {"enum": list(system.FILESYSTEMS)},
            "size": size,
            "boot-size": size,
            "esp-size": size,
            "grow": {"type": "boolean"},
        }
    )
    update = _table(
        {
            "remote": _text(system.REMOTE),
            "url": _text(system.URL),
            "ref": _text(system.REF),
            "key": _text(manifest.PATH),
            "automatic": {"enum": ["no", "check", "stage", "reboot"]},
            "sequence": {"type": "integer", "minimum": 1, "maximum": (1 << 53) - 1},
            "keep": {"type": "integer", "minimum": 0, "maximum": 100},
        }
    )
    return _table(
        {
            "hostname": _text(system.HOSTNAME),
            "locale": _text(system.LOCALE),
            "locales": _list(_text(system.LOCALE)),
            "timezone": _text(system.TIMEZONE),
            "kernel": _text(spec.PACKAGE_NAME),
            "kernel-arguments": _list(_text(system.ARGUMENT)),
            "default-target": _text(system.TARGET),
            "enable": _list(unit),
            "disable": _list(unit),
            "mask": _list(unit),
            "boot-loader": {"enum": ["grub"]},
            "boot-tries": {"type": "integer", "minimum": 0, "maximum": 100},
            "volatile": {"enum": list(system.VOLATILE)},
            "keep": _list(absolute),
            "var": {
                "type": "object",
                "patternProperties": {
                    _text(system.PATTERN)["pattern"]: {"enum": list(system.FATES)}
                },
                "additionalProperties": False,
            },
            "users": _list(user),
            "files": _list(file),
            "disk": disk,
            "update": update,
        }
    )


def _text(pattern: re.Pattern[str]) -> _Value:
    return {"type": "string", "pattern": f"^(?:{pattern.pattern})$".replace("\\0", "\\u0000")}


def _list(item: _Value) -> _Value:
    return {"type": "array", "items": item}


def _table(properties: _Value, *required: str) -> _Value:
    found: _Value = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": list(required)} if required else {})
