"""A JSON schema of the manifest for editors, made of the same patterns that the parser uses.

Draft 7, which taplo and the editors' TOML extensions read. A schema cannot say everything (that a
package is given twice, that one path lies below another); whatever it refuses, the parser refuses.
"""

from __future__ import annotations

import json
import re
from typing import Any

from dolmen.model import entrance, manifest, pin, spec
from dolmen.model.system_schema import system_schema

_ID = "https://dolmen.example/dolmen.schema.json"


def _pattern(*patterns: re.Pattern[str]) -> dict[str, Any]:
    """A string that one of the patterns describes, whole; in the words of ECMA 262."""
    texts = [re.sub(r"\(\?P<[a-z]+>", "(?:", pattern.pattern) for pattern in patterns]
    return {"type": "string", "pattern": f"^(?:{'|'.join(texts)})$"}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _table(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return found | ({"required": list(required)} if required else {})


def _map(names: re.Pattern[str], value: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "patternProperties": {_pattern(names)["pattern"]: value},
        "additionalProperties": False,
    }


def _about(value: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    return value | {"description": description} | more


def schema() -> dict[str, Any]:
    """The schema of `dolmen.toml`."""
    package = _pattern(spec.PATTERN) | {"maxLength": spec.MAX_LENGTH}
    packages = _about(
        _list(package),
        "What to have beside the Essential packages: name, name=version, name/suite, "
        "name:architecture; [amd64] or [!i386] behind a blank restricts it.",
        default=[],
    )
    architecture = _pattern(manifest.ARCHITECTURE)
    line = {"type": "string", "pattern": r"\S"}
    variable = re.compile(
        rf"(?!(?:{entrance.CODE.pattern}|{entrance.OURS.pattern})$){entrance.VARIABLE.pattern}"
    )
    source = _table(
        {
            "name": _about(
                _pattern(manifest.SOURCE_NAME), "What packages and pins may call this source."
            ),
            "uris": _about(_list(_pattern(manifest.URI)), "http, https or file.", minItems=1),
            "suites": _about(_list(_pattern(manifest.SUITE)), "Suites or codenames.", minItems=1),
            "components": _about(
                _list(_pattern(manifest.COMPONENT)), "Components.", default=["main"]
            ),
            "signed-by": _about(
                {
                    "anyOf": [
                        {"type": "string", "pattern": "^/[^\\u0000\\n]+$"},
                        _pattern(manifest.PATH),
                        {"type": "string", "pattern": "-----BEGIN"},
                    ]
                },
                "The key: a path, absolute or below this directory, or an ASCII-armoured key.",
            ),
            "priority": _about(
                {"type": "integer", "minimum": pin.LOWEST, "maximum": pin.HIGHEST},
                "As in apt_preferences(5); above 500 its packages may replace the suite's own.",
            ),
            "snapshot": _about(
                _pattern(manifest.STAMP, manifest.AGE, re.compile("now")),
                "The archive as it was then, YYYYMMDDTHHMMSSZ, or so long ago (14d, 2w).",
            ),
            "valid-until-max": _about(
                {"type": "integer", "minimum": 1},
                "Seconds after which a Release file without an expiry date is too old.",
            ),
        },
        "uris",
        "suites",
    )
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": _ID,
        "title": "dolmen.toml",
        "description": "What a directory needs from Debian.",
        **_table(
            {
                "format": _about(
                    {"type": "integer", "const": manifest.FORMAT}, "The format of this file."
                ),
                "suite": _about(
                    _pattern(manifest.SUITE), "Debian's suite or codename.", examples=["bookworm"]
                ),
                "packages": packages,
                "recommends": _about(
                    {"type": "boolean"}, "Install recommended packages too.", default=False
                ),
                "architecture": _about(
                    architecture, "The native architecture; the host's where there is none."
                ),
                "foreign-architectures": _about(
                    _list(architecture), "Further ones, as in dpkg --add-architecture.", default=[]
                ),
                "snapshot": _about(
                    _pattern(manifest.STAMP, manifest.AGE),
                    "Debian's archive as it was then, or so long ago (14d); an age leaves out "
                    "the -security suites.",
                ),
                "sources": _about(
                    _list(source), "Where packages come from; the host's own Debian sources."
                ),
                "pins": _about(
                    _map(
                        pin.PACKAGE,
                        {
                            "anyOf": [
                                _pattern(pin.PIN),
                                {
                                    "type": "integer",
                                    "minimum": pin.LOWEST,
                                    "maximum": pin.HIGHEST,
                                    "not": {"const": 0},
                                },
                            ]
                        },
                    ),
                    'Versions to prefer, "=7.88*" or "/suite", or never to take, -1.',
                ),
                "groups": _about(
                    _map(manifest.GROUP_NAME, _table({"packages": packages})),
                    "Packages for those who ask for them: dolmen sync --group NAME.",
                ),
                "debs": _about(
                    _list(
                        _table(
                            {
                                "path": _pattern(manifest.PATH),
                                "sha256": _pattern(manifest.DIGEST),
                            },
                            "path",
                            "sha256",
                        )
                    ),
                    "Debian packages below this directory: dolmen install ./FILE.deb adds them.",
                ),
                "env": _about(
                    _map(variable, {"type": "string"}),
                    "Environment variables, inside and by the prompt hook.",
                ),
                "aliases": _about(
                    _map(entrance.NAME, line), "Further commands, each a line for sh."
                ),
                "scripts": _about(_map(entrance.NAME, line), "What dolmen run NAME does, for sh."),
                "persist": _about(
                    _list(_pattern(entrance.PERSISTED)),
                    "Directories of the image that stay writable, each environment's own.",
                ),
                "system": _about(
                    system_schema(), "A whole machine: dolmen system build makes its image."
                ),
            },
            "suite",
        ),
    }


def render_schema() -> str:
    """The text of docs/dolmen.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=True) + "\n"
