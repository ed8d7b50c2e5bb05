"""Names, pins, the log, and generations that are taken away."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dolmen.environment import (
    Environment,
    generations,
    install,
    list_generations,
    name_generation,
    pin,
    remove_generations,
    rollback,
    switch,
)
from dolmen.environment.visiting import visit
from dolmen.model import parse_spec
from dolmen.support.errors import DeclarationError
from dolmen.support.files import remove_tree
from dolmen.support.run import run
from tests.lib.backend import FakeBackend, snapshot

SOURCE = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture
def three(environment: Environment, backend: FakeBackend) -> Environment:
    for name in ("jq", "curl", "python3"):
        install(environment, [parse_spec(name)], backend=backend, command=f"install {name}")
    return environment


def reason(caught: pytest.ExceptionInfo[DeclarationError]) -> str:
    return caught.value.reason


def test_what_changed_is_recorded(three: Environment) -> None:
    found = [entry.generation for entry in list_generations(three)]
    assert [(g.added, g.removed, g.changed) for g in found] == [(2, 0, 0), (1, 0, 0), (1, 0, 0)]


def test_switch_by_name_and_dash(three: Environment) -> None:
    name_generation(three, "1", "first")
    assert switch(three, "first").number == 1
    assert switch(three, "-").number == 3
    assert switch(three, 2).number == 2
    assert rollback(three).number == 3


def test_names_are_unique_and_can_go(three: Environment) -> None:
    name_generation(three, "1", "release")
    with pytest.raises(DeclarationError) as caught:
        name_generation(three, "2", "release")
    assert reason(caught) == "name-taken"
    assert name_generation(three, "1", "release").name == "release"
    assert name_generation(three, "release", "").name is None
    assert name_generation(three, "2", "release").number == 2


@pytest.mark.parametrize("name", ["3", "-x", "a b", "a/b", "ä", "a" * 65, "x\x1b[0m", "-"])
def test_what_cannot_be_a_name(three: Environment, name: str) -> None:
    before = snapshot(three)
    with pytest.raises(DeclarationError) as caught:
        name_generation(three, "1", name)
    assert reason(caught) == "bad-name"
    assert snapshot(three) == before


@pytest.mark.parametrize("reference", ["0", "4", "01x", "nothing", "", "99999999999", "1.0"])
def test_references_to_nothing(three: Environment, reference: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        switch(three, reference)
    assert reason(caught) == "no-generation"


def test_names_survive_other_changes(three: Environment, backend: FakeBackend) -> None:
    name_generation(three, "3", "here")
    pin(three, "3")
    three.manifest.write_text("# a comment\n" + three.manifest_text())
    install(three, [], backend=backend, command="install")
    found = generations.read(three, 3).generation
    assert (found.name, found.pinned) == ("here", True)
    assert pin(three, "3", pinned=False).pinned is False


def test_remove(three: Environment) -> None:
    pin(three, "1")
    for reference, why in (("3", "generation-live"), ("1", "generation-pinned")):
        before = snapshot(three)
        with pytest.raises(DeclarationError) as caught:
            remove_generations(three, ["2", reference])
        assert reason(caught) == why
        assert snapshot(three) == before
    assert remove_generations(three, ["2", "2"]) == (2,)
    assert generations.numbers(three) == (1, 3)
    assert generations.previous_number(three) is None


def test_the_log_tells_all(three: Environment) -> None:
    switch(three, 1)
    name_generation(three, "1", "first")
    remove_generations(three, ["2"])
    found = generations.read_history(three)
    assert [(e.before, e.after) for e in found] == [
        (None, 1),
        (1, 2),
        (2, 3),
        (3, 1),
        (1, 1),
        (1, 1),
    ]
    assert [bool(entry.note) for entry in found] == [False] * 4 + [True] * 2
    assert all(entry.user for entry in found)
    assert rollback(three).number == 3


def test_a_log_of_old_and_of_tomorrow_is_read(three: Environment) -> None:
    lines = three.history.read_text().splitlines()
    old = {k: v for k, v in json.loads(lines[0]).items() if k not in ("user", "note")}
    new = {**json.loads(lines[1]), "shoe_size": 43}
    three.history.write_text("\n".join([json.dumps(old), json.dumps(new), "[]", lines[2]]) + "\n")
    assert [entry.after for entry in generations.read_history(three)] == [1, 2, 3]


def test_a_record_of_old_is_read(three: Environment) -> None:
    path = three.generations / "1/generation.json"
    data = json.loads(path.read_text())
    for key in ("pinned", "added", "removed", "changed", "name"):
        del data[key]
    path.write_text(json.dumps(data))
    found = generations.read(three, 1).generation
    assert (found.pinned, found.added, found.name) == (False, None, None)


def test_visiting_changes_nothing(three: Environment, backend: FakeBackend) -> None:
    name_generation(three, "1", "first")
    before = snapshot(three)
    launcher = visit(three, "first", backend=backend)
    assert launcher == three.generations / "1/launch"
    assert snapshot(three) == before
    assert generations.current_number(three) == 3


def test_visiting_makes_a_lost_image_again(three: Environment, backend: FakeBackend) -> None:
    tree = generations.read(three, 1).tree
    remove_tree(tree)
    backend.calls.clear()
    assert visit(three, "1", backend=backend).exists()
    assert tree.is_dir()
    assert backend.calls == ["build"]


def test_a_strangers_launcher_is_not_visited(three: Environment, backend: FakeBackend) -> None:
    assert visit(three, "1", backend=backend)
    backend.forget(three.directory)
    with pytest.raises(DeclarationError) as caught:
        visit(three, "1", backend=backend)
    assert reason(caught) == "unknown-directory"


def test_switching_loads_little() -> None:
    """A switch is over in a blink: no click, no sandbox, nothing that solves or builds."""
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import dolmen.environment.live;"
        "import dolmen.cli.quick, dolmen.cli.session; print(*sorted(sys.modules))"
    )
    done = run([sys.executable, "-I", "-c", script], timeout=60)
    loaded = set(done.stdout.decode().split())
    assert "dolmen.environment.live" in loaded
    heavy = ("click", "rich", "gi", "apt_pkg", "tomlkit", "subprocess", "dolmen.sandbox")
    assert [name for name in heavy if name in loaded] == []
