"""Finds the reasons that the code can give, by reading it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

#: Classes that carry a reason of ours; other values have reasons too, in prose or of another kind.
_CARRIERS = ("Error", "Finding")
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def given(source: Path) -> set[str]:
    """Literals that stand where a reason is wanted: `reason=…`, defaults, positional arguments."""
    trees = [ast.parse(path.read_text()) for path in source.rglob("*.py")]
    positions = dict(pair for tree in trees for pair in _signatures(tree))
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found |= _of_call(node, positions)
            elif isinstance(node, ast.FunctionDef):
                found |= _of_defaults(node)
            elif isinstance(node, ast.AnnAssign | ast.Assign):
                targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                names = {target.id for target in targets if isinstance(target, ast.Name)}
                if "default_reason" in names and node.value is not None:
                    found |= _literals(node.value)
    return found


def mentioned(source: Path) -> set[str]:
    """Every literal that could be a reason, wherever it stands."""
    return {
        node.value
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _KEBAB.fullmatch(node.value)
    }


def _signatures(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions (and dataclasses of errors) by name, with the position of their `reason`."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        elif isinstance(node, ast.ClassDef):
            names = [
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            ]
        if "reason" in names and isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, names.index("reason")


def _of_call(node: ast.Call, positions: dict[str, int]) -> set[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name[:1].isupper() and not name.endswith(_CARRIERS):
        return set()
    found = {
        text
        for keyword in node.keywords
        if keyword.arg == "reason"
        for text in _literals(keyword.value)
    }
    if name in positions and len(node.args) > positions[name]:
        found |= _literals(node.args[positions[name]])
    return {text for text in found if _KEBAB.fullmatch(text)}


def _of_defaults(node: ast.FunctionDef) -> set[str]:
    arguments = node.args.args[len(node.args.args) - len(node.args.defaults) :]
    pairs = [*zip(arguments, node.args.defaults, strict=True)]
    pairs += [
        (argument, default)
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if default is not None
    ]
    return {text for argument, d in pairs if argument.arg == "reason" for text in _literals(d)}


def _literals(node: ast.expr) -> set[str]:
    """The texts that an expression may give: a literal, or a choice of literals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        return {node.value}
    if isinstance(node, ast.IfExp):
        return _literals(node.body) | _literals(node.orelse)
    if isinstance(node, ast.BoolOp):
        return {text for value in node.values for text in _literals(value)}
    return set()
