"""Names that are imported when they are first used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import dolmen.model
import dolmen.store


@pytest.mark.parametrize("room", [dolmen.model, dolmen.store])
def test_every_name_is_there_and_none_is_a_module(room: ModuleType) -> None:
    assert room.__file__ is not None
    place = Path(room.__file__)
    text = place.read_text()
    declared = {line.rpartition(" as ")[2] for line in text.splitlines() if " as " in line}
    assert len(declared) > 5
    for name in declared:
        assert callable(getattr(room, name)) or name in ("Sha256",)
        assert not place.with_name(f"{name}.py").exists()
        assert f'"{name}":' in text
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = room.no_such_name


def test_what_only_looks_at_a_machine_needs_neither_archives_nor_sandbox() -> None:
    """A command of a machine is started often, and each room costs it a tenth of its time."""
    program = (
        "import sys\n"
        "import dolmen.system.machine.status, dolmen.system.machine.changes\n"
        "rooms = ['archive', 'image', 'sandbox', 'model.manifest', 'model.lock']\n"
        "print([room for room in rooms if f'dolmen.{room}' in sys.modules])\n"
    )
    source = str(Path(import_module("dolmen").__path__[0]).parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": source},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
