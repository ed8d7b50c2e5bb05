"""Strict deb822 stanzas with line numbers (deb822(5)), for files that we wrote ourselves.

Unlike apt's reader it refuses what a hand-edited lock must not contain: duplicate fields, lines
that are neither field nor continuation, control characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"([!-9;-~]+):[ \t]?(.*)")
_BLANK = " \t"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Field:
    """A field's value (continuation lines joined by newlines, their first space removed)."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Stanza:
    """The fields of one stanza in their order, and where it starts."""

    fields: tuple[Field, ...]
    line: int

    def find(self, name: str) -> Field | None:
        """A field by its name, case folded as deb822(5) says."""
        wanted = name.lower()
        return next((field for field in self.fields if field.name.lower() == wanted), None)


def parse_stanzas(text: str) -> tuple[tuple[Stanza, ...], tuple[tuple[int, str], ...]]:
    """Read all stanzas; the second part lists (line, what is wrong), empty when all is well."""
    stanzas: list[Stanza] = []
    faults: list[tuple[int, str]] = []
    current: dict[str, Field] = {}
    last = ""
    start = 1

    def close() -> None:
        nonlocal current, last
        if current:
            stanzas.append(Stanza(tuple(current.values()), start))
        current, last = {}, ""

    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(_BLANK):
            close()
            continue
        if _CONTROL.search(line):
            faults.append((number, "control character"))
            continue
        if line.startswith("#"):
            continue
        if line[0] in " \t":
            if not last:
                faults.append((number, "continuation line without a field"))
                continue
            field = current[last]
            rest = "" if line.strip(_BLANK) == "." else line[1:]
            current[last] = Field(field.name, f"{field.value}\n{rest}", field.line)
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            faults.append((number, "neither a field nor a continuation line"))
            continue
        name, value = match.groups()
        if not current:
            start = number
        if name.lower() in current:
            faults.append((number, f"field {name} is given twice"))
            continue
        last = name.lower()
        current[last] = Field(name, value.strip(_BLANK), number)
    close()
    return tuple(stanzas), tuple(faults)


def render_stanza(fields: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str:
    """Write one stanza with its final newline; fields with empty values are left out.

    Control characters become U+FFFD: values come from archives, and what is written here must be
    readable again.
    """
    lines: list[str] = []
    for name, value in fields:
        if not value:
            continue
        first, *rest = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value).split("\n")
        lines.append(f"{name}: {first}" if first else f"{name}:")
        lines.extend(f" {line}" if line.strip(_BLANK) else " ." for line in rest)
    return "\n".join(lines) + "\n"
