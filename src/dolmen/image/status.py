"""Reading a dpkg database that dpkg and apt themselves have written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.image.admin import ADMIN

STATUS = f"{ADMIN}/status"
EXTENDED_STATES = "var/lib/apt/extended_states"


@dataclass(frozen=True, slots=True)
class Installed:
    """A package that is there at least in part; `state` is dpkg's ("installed", "unpacked", …).

    `conffiles`: path to md5 as it was shipped; `automatic`: apt's mark.
    """

    name: str
    architecture: str
    version: str
    state: str
    essential: bool = False
    automatic: bool = False
    conffiles: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """As LockedPackage.key."""
        return (self.name, self.architecture)


def read_status(status: Path, extended_states: Path) -> dict[tuple[str, str], Installed]:
    """All packages but those of which only configuration is left; no file is no package."""
    return read_status_text(_text(status), _text(extended_states))


def read_status_text(text: str, extended_states: str = "") -> dict[tuple[str, str], Installed]:
    """The same of the files' texts."""
    marks = _automatic(extended_states)
    marked = {name for name, _ in marks}
    found: dict[tuple[str, str], Installed] = {}
    for fields in _stanzas(text):
        state = fields.get("status", "").rpartition(" ")[2]
        name, architecture = fields.get("package", ""), fields.get("architecture", "")
        if not name or state in ("", "not-installed", "config-files"):
            continue
        found[name, architecture] = Installed(
            name,
            architecture,
            fields.get("version", ""),
            state,
            fields.get("essential") == "yes",
            # apt knows packages for all architectures under the native one.
            (name, architecture) in marks or (architecture == "all" and name in marked),
            dict(_conffiles(fields.get("conffiles", ""))),
        )
    return found


def _automatic(text: str) -> set[tuple[str, str]]:
    return {
        (fields.get("package", ""), fields.get("architecture", ""))
        for fields in _stanzas(text)
        if fields.get("auto-installed") == "1"
    }


def _conffiles(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and "obsolete" not in words[2:]:
            yield words[0], words[1]


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        last = ""
        for line in block.split("\n"):
            if line[:1] in (" ", "\t"):
                fields[last] = f"{fields.get(last, '')}\n{line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                last = name.lower()
                fields[last] = value.strip()
        if fields:
            yield fields


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
