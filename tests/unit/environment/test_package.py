"""What the package offers is what it promises, lazily."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import dolmen.environment as package


def test_every_promised_name_is_there() -> None:
    tree = ast.parse(Path(package.__file__).read_text())
    promised = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and "environment" in node.module
        for alias in node.names
    }
    assert {name for _, name in promised} == set(package._MODULES)
    for module, name in promised:
        assert getattr(package, name) is getattr(import_module(module), name)


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError):
        package.nothing  # noqa: B018
