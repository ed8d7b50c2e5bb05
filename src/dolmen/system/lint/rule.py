"""What a rule is, and the table of them; each module of rules adds its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dolmen.system.lint.tree import Tree

Check = Callable[[Tree], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`number`: which of the fifteen details it holds (docs/system.md); `says`: what must be so."""

    name: str
    number: int
    says: str
    check: Check


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a tree breaks, and where."""

    rule: str
    message: str


RULES: dict[str, Rule] = {}


def rule(number: int, name: str, says: str) -> Callable[[Check], Check]:
    """Make a function a rule."""

    def register(check: Check) -> Check:
        RULES[name] = Rule(name, number, says, check)
        return check

    return register
