"""What a dpkg database says that dpkg and apt have written themselves (dpkg-query(1))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


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


def parse_status(text: str, extended_states: str = "") -> dict[tuple[str, str], Installed]:
    """All packages of a status file's text, but those of which only configuration is left.

    `extended_states`: the text of apt's file with the marks.
    """
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
