"""Imports go down only, and side effects pass through narrow doors (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

#: The rooms from the top down; those of one line know nothing of each other.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("environment", "system"),
    ("image",),
    ("archive", "store", "sandbox"),
    ("model",),
    ("support",),
    ("__init__",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

#: Library -> the only places that may import it.
LIBRARIES = {
    "gi": ("store",),
    "apt": ("archive",),
    "apt_pkg": ("archive",),
    "apt_inst": ("archive",),
    "click": ("cli",),
    "rich": ("cli",),
    "tomlkit": ("model/editing.py",),
}

#: Call -> the only places that may make it.
CALLS = {
    "print": ("cli",),
    "input": ("cli",),
    "exit": (),
    "sys.exit": ("cli", "__main__.py"),
    "subprocess.run": (),
    "subprocess.call": (),
    "subprocess.check_call": (),
    "subprocess.check_output": (),
    "subprocess.Popen": ("support/run.py",),
    "os.system": (),
    "os.popen": (),
    "time.time": ("support/clock.py",),
    "datetime.now": (),
    "datetime.datetime.now": (),
    "datetime.utcnow": (),
}

#: (file, call) -> why this one place may do it all the same.
EXCEPTIONS = {
    ("archive/worker.py", "sys.exit"): "a process of its own: apt_pkg is global to a process",
    ("system/boot/__main__.py", "sys.exit"): "a process of its own: libostree and units start it",
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours, by its path below the package."""
    package = SOURCE / "dolmen"
    return {
        str(path.relative_to(package)): ast.parse(path.read_text(), str(path))
        for path in sorted(package.rglob("*.py"))
        if path.parent.name != "data"
    }


def room(name: str) -> str:
    """The room of a path (`model/lock.py`) or of a module (`dolmen.model.lock`)."""
    if name.endswith(".py"):
        return name.split("/")[0].removesuffix(".py")
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(name: str) -> Iterator[tuple[int, str]]:
    """What a module imports, also inside functions: (line, module)."""
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} has a relative import"
            module = node.module or ""
            yield node.lineno, module
            if module == "dolmen":
                for alias in node.names:
                    yield node.lineno, f"dolmen.{alias.name}"


def dotted(node: ast.expr) -> str:
    """`os.system` of a call's function; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def within(name: str, places: tuple[str, ...]) -> bool:
    return name in places or room(name) in places


def test_there_is_something_to_check() -> None:
    assert "model/lock.py" in modules()
    assert list(imports("model/lock.py"))


def test_every_room_is_known() -> None:
    assert {room(name) for name in modules()} <= LEVEL.keys()


def test_imports_go_down_only() -> None:
    wrong = []
    for name in modules():
        here = room(name)
        for line, module in imports(name):
            if module.split(".")[0] != "dolmen":
                continue
            there = room(module)
            if there not in LEVEL:
                continue  # a name of the package itself, such as __version__
            if there != here and LEVEL[there] <= LEVEL[here]:
                wrong.append(f"{name}:{line}: {here} imports {module}")
    assert wrong == []


def test_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{name}:{line}: {module}"
        for name in modules()
        for line, module in imports(name)
        if not within(name, LIBRARIES.get(module.split(".")[0], (room(name),)))
    ]
    assert wrong == []


def test_side_effects_pass_through_their_doors() -> None:
    wrong = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            call = dotted(node.func)
            if call not in CALLS or within(name, CALLS[call]) or (name, call) in EXCEPTIONS:
                continue
            wrong.append(f"{name}:{node.lineno}: {call}")
    assert wrong == []


def test_functions_of_the_process_module_are_not_taken_out_of_it() -> None:
    """`from subprocess import PIPE` is harmless, `from subprocess import run` hides a door."""
    harmless = {"PIPE", "DEVNULL", "STDOUT", "Popen", "TimeoutExpired"}
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "subprocess"
        and not {alias.name for alias in node.names} <= harmless
    ]
    assert wrong == []


@pytest.mark.parametrize("module", ["dolmen.model", "dolmen.support.run", "dolmen.cli"])
def test_starting_loads_nothing_heavy(module: str) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import {module};"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    argv = [sys.executable, "-I", "-c", script]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "dolmen" in loaded
    assert not loaded & {"gi", "apt", "apt_pkg", "apt_inst", "rich", "tomlkit"}
