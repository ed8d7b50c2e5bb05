"""Numbers, the link, the history, and the way back."""

from __future__ import annotations

import json
import os

import pytest

from dolmen.environment import (
    Environment,
    generations,
    install,
    list_generations,
    rollback,
    switch,
)
from dolmen.model import parse_spec
from dolmen.support.errors import DeclarationError
from dolmen.support.events import Event, Notice
from dolmen.support.files import remove_tree
from tests.lib.backend import FakeBackend, snapshot


@pytest.fixture
def three(environment: Environment, backend: FakeBackend) -> Environment:
    """An environment with three generations; the third is live."""
    for name in ("jq", "curl", "python3"):
        install(environment, [parse_spec(name)], backend=backend, command=f"install {name}")
    return environment


def live(environment: Environment) -> int | None:
    return generations.current_number(environment)


def test_list(three: Environment) -> None:
    found = list_generations(three)
    assert [entry.generation.number for entry in found] == [1, 2, 3]
    assert [entry.live for entry in found] == [False, False, True]
    assert [entry.generation.packages for entry in found] == [2, 3, 4]
    assert found[0].generation.command == "install jq"


def test_switch_brings_manifest_and_lock(three: Environment) -> None:
    first = three.generations / "1"
    switch(three, 1)
    assert live(three) == 1
    assert three.manifest_text() == (first / "dolmen.toml").read_text()
    assert three.lock_text() == (first / "dolmen.lock").read_text()


def test_rollback_is_what_was_live_not_the_number_before(three: Environment) -> None:
    switch(three, 1)
    rollback(three)
    assert live(three) == 3
    rollback(three)
    assert live(three) == 1


def test_rollback_without_a_past(environment: Environment, backend: FakeBackend) -> None:
    with pytest.raises(DeclarationError) as caught:
        rollback(environment)
    assert caught.value.reason == "no-previous"
    install(environment, [parse_spec("jq")], backend=backend, command="install jq")
    with pytest.raises(DeclarationError) as caught:
        rollback(environment)
    assert caught.value.reason == "no-previous"


def test_switch_to_nothing(three: Environment) -> None:
    before = snapshot(three)
    with pytest.raises(DeclarationError) as caught:
        switch(three, 9)
    assert caught.value.reason == "no-generation"
    assert snapshot(three) == before


def test_switch_keeps_edits(three: Environment) -> None:
    three.manifest.write_text("# precious\n" + three.manifest_text())
    events: list[Event] = []
    switch(three, 1, emit=events.append)
    assert (three.state / "dolmen.toml.kept").read_text().startswith("# precious\n")
    assert any(isinstance(event, Notice) and event.level == "warning" for event in events)


def test_switch_to_a_collected_image(three: Environment) -> None:
    record = generations.read(three, 1)
    remove_tree(record.tree)
    before = snapshot(three)
    with pytest.raises(DeclarationError) as caught:
        switch(three, 1)
    assert caught.value.reason == "tree-missing"
    assert snapshot(three) == before


def test_numbers_are_never_used_twice(three: Environment, backend: FakeBackend) -> None:
    switch(three, 1)
    for name in ("generation.json", "launch", "dolmen.toml", "dolmen.lock", "tree"):
        (three.generations / "3" / name).unlink()
    (three.generations / "3").rename(three.generations / "gone")
    install(three, [parse_spec("python3")], backend=backend, command="install python3")
    assert live(three) == 4


def test_history_survives_a_torn_line(three: Environment) -> None:
    with three.history.open("a") as stream:
        stream.write('{"time": "20')
    assert [entry.after for entry in generations.read_history(three)] == [1, 2, 3]


def test_a_torn_line_does_not_swallow_the_next(three: Environment) -> None:
    with three.history.open("a") as stream:
        stream.write('{"time": "20')
    switch(three, 1)
    assert [entry.after for entry in generations.read_history(three)] == [1, 2, 3, 1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "image": "x"}'])
def test_a_damaged_record(three: Environment, backend: FakeBackend, text: str) -> None:
    (three.generations / "3/generation.json").write_text(text)
    with pytest.raises(DeclarationError) as caught:
        generations.read(three, 3)
    assert caught.value.reason == "bad-generation"
    assert [entry.generation.number for entry in list_generations(three)] == [1, 2]
    outcome = install(three, [], backend=backend, command="install")
    assert outcome.generation is not None
    assert outcome.generation.number == 4


def test_a_newer_record_is_refused(three: Environment) -> None:
    path = three.generations / "3/generation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(DeclarationError) as caught:
        generations.read(three, 3)
    assert caught.value.reason == "generation-format"


@pytest.mark.parametrize("target", ["", "generations/../../x", "/etc", "generations/99"])
def test_a_wrong_link_is_no_generation(three: Environment, target: str) -> None:
    three.current.unlink()
    if target:
        os.symlink(target, three.current)
    assert generations.current(three) is None
