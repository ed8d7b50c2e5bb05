"""Values of a machine that need no libostree: roles, retention, kernel arguments, key files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.store.sysroot.deployment import (
    Deployment,
    Metadata,
    parse_arguments,
    parse_keyfile,
    render_keyfile,
)
from dolmen.support.errors import MachineError, UsageError
from dolmen.system.machine.kargs import edited, merged
from dolmen.system.machine.roles import find, first_started, retained, roles


def made(index: int, *flags: str, osname: str = "debian", kept: bool = False) -> Deployment:
    commit = f"{index:x}" * 64
    return Deployment(
        index,
        osname,
        commit[:64],
        0,
        "b",
        Metadata(commit[:64], 0, f"12.{index}"),
        Path("/nowhere"),
        origin={"dolmen": {"kept": "true"}} if kept else {},
        booted="booted" in flags,
        staged="staged" in flags,
        pinned="pinned" in flags or kept,
    )


def test_roles_follow_from_the_order() -> None:
    running = [made(0, "staged"), made(1), made(2, "booted"), made(3), made(4)]
    assert list(roles(running).values()) == ["pending", "pending", "booted", "rollback", "kept"]
    assert list(roles([made(0), made(1), made(2)]).values()) == ["default", "rollback", "kept"]
    assert roles([]) == {}


def test_deployments_are_found_by_what_people_call_them() -> None:
    there = [made(0), made(1, "booted"), made(2)]
    assert find(there, "1") is there[1]
    assert find(there, "booted") is there[1]
    assert find(there, "12.2") is there[2]
    assert find(there, "2222") is there[2]
    for word in ("9", "nothing", "", "22"):
        with pytest.raises(MachineError) as caught:
            find(there, word)
        assert caught.value.reason == "no-deployment"


def indexes(found: tuple[Deployment, ...]) -> list[int]:
    return [one.index for one in found]


def test_what_stays_beside_a_new_deployment() -> None:
    there = [made(0, "staged"), made(1, "booted"), made(2), made(3, "pinned"), made(4, kept=True)]
    current = there[1]
    assert indexes(retained(there, osname="debian", keep=0, origin_of=current)) == [1, 3]
    assert indexes(retained(there, osname="debian", keep=1, origin_of=current)) == [1, 2, 3]
    assert indexes(retained(there, osname="debian", keep=9, origin_of=current)) == [1, 2, 3, 4]
    other = [made(0), made(1, osname="other"), made(2)]
    assert indexes(retained(other, osname="debian", keep=0, origin_of=other[0])) == [0, 1]
    assert indexes(retained(other, osname="third", keep=0, origin_of=None)) == [0, 1, 2]


def test_declared_arguments_change_with_the_image_and_others_stay() -> None:
    assert merged(["root=x", "quiet", "mine"], ["quiet"], ["splash"]) == (
        "root=x",
        "mine",
        "splash",
    )
    # taken out by hand: it stays out
    assert merged(["root=x"], ["quiet"], ["quiet"]) == ("root=x",)


def test_arguments_are_edited_by_name_and_value() -> None:
    now = ("root=x", "console=tty0", "console=ttyS0", "quiet")
    assert edited(now, delete=["console"])[1:] == ("quiet",)
    assert edited(now, delete=["console=tty0"])[1:] == ("console=ttyS0", "quiet")
    assert edited(now, replace=["root=y"])[0] == "root=y"
    assert edited(now, replace=["new=1"])[-1] == "new=1"
    assert edited(now, append=["quiet"])[-1] == "quiet"
    for bad in ("ostree=x", "a b", "", "a\nb"):
        with pytest.raises(UsageError):
            edited(now, append=[bad])
    for unclear in ({"replace": ["console=x"]}, {"delete": ["root=z"]}, {"delete": ["absent"]}):
        with pytest.raises(UsageError):
            edited(now, **unclear)


def test_options_are_words_with_quotes() -> None:
    assert parse_arguments('a b="c d"  e') == ("a", 'b="c d"', "e")
    assert parse_arguments("") == ()


def test_key_files_come_back() -> None:
    groups = {"origin": {"refspec": "a:b"}, "dolmen": {"install": "x;y=1"}}
    assert parse_keyfile(render_keyfile(groups)) == groups
    assert parse_keyfile("# c\n[a]\nb = c=d\nstray\n") == {"a": {"b": "c=d"}}
    assert render_keyfile({"empty": {}}) == ""


def test_a_change_adds_to_what_is_started_next() -> None:
    staged, running = made(0, "staged"), made(1, "booted")
    assert first_started([staged, running], "") is staged
    assert first_started([staged, running], running.name) is staged
    # One that was given up is not started, nor built upon.
    assert first_started([staged, running], staged.name) is running
    assert first_started([running], running.name) is running
    assert first_started([], "") is None
