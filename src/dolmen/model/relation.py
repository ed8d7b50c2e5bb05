"""Relationship fields of control files (Debian Policy 7.1): `a (>= 1) | b:any, c [amd64]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RELATION = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9+.-]*)"
    r"(?::(?P<qualifier>[a-z0-9-]+))?"
    r"\s*(?:\(\s*(?P<operator><<|<=|>=|>>|=|<|>)\s*(?P<version>[^)\s]+)\s*\))?"
    r"\s*(?:\[[^\]]*\])?\s*(?:<[^>]*>\s*)*"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """One alternative; `qualifier` is an architecture, "any" or "native"."""

    name: str
    qualifier: str | None = None
    operator: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        name = f"{self.name}:{self.qualifier}" if self.qualifier else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name


def parse_relations(field: str) -> tuple[tuple[Relation, ...], ...]:
    """Read a field: a tuple of clauses, each a tuple of alternatives.

    Raises ValueError on what is no relationship field.
    """
    clauses: list[tuple[Relation, ...]] = []
    for clause in field.replace("\n", " ").split(","):
        if not clause.strip():
            continue
        alternatives: list[Relation] = []
        for text in clause.split("|"):
            match = _RELATION.fullmatch(text)
            if match is None:
                raise ValueError(f"not a package relationship: {text.strip()[:80]!r}")
            alternatives.append(Relation(**match.groupdict()))
        clauses.append(tuple(alternatives))
    return tuple(clauses)
