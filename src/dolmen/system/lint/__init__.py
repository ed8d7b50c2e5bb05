"""Is a commit a system that boots, keeps its state, and can be upgraded? Fifteen rules."""

from dolmen.system.lint.checking import lint
from dolmen.system.lint.rule import RULES, Finding, Rule

__all__ = ["RULES", "Finding", "Rule", "lint"]
