"""Runs the rules over a commit."""

from __future__ import annotations

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.system.lint import boot, etc, packages, variable
from dolmen.system.lint.rule import RULES, Finding, Rule
from dolmen.system.lint.tree import Tree

#: Importing them fills RULES.
_MODULES = (packages, variable, etc, boot)


def lint(store: Store, commit: Sha256) -> tuple[Finding, ...]:
    """Everything that is wrong with a system's commit, by rule in the order of their numbers."""
    tree = Tree.of(store, commit)
    found: list[Finding] = []
    for one in ordered():
        found += [Finding(one.name, message) for message in one.check(tree)]
    return tuple(found)


def ordered() -> tuple[Rule, ...]:
    """All rules, by their numbers."""
    return tuple(sorted(RULES.values(), key=lambda rule: rule.number))
