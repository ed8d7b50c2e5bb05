"""/etc of a machine: what was changed there, what an image's change makes of it, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.support.errors import MachineError, UsageError
from dolmen.support.events import Event, Notice
from dolmen.system.machine import changes
from dolmen.system.machine.deploying import deploy
from dolmen.system.machine.etc import etc_difference, reset_etc
from tests.lib.sysroots import REF, Lab

pytestmark = pytest.mark.root


def etc(lab: Lab) -> Path:
    current = lab.sysroot().current()
    assert current is not None
    return current.path / "etc"


@pytest.fixture
def machine(lab: Lab) -> Lab:
    """12.1 with an edited /etc, and 12.2 (which changes some of the same) after it."""
    files = {f"usr/etc/{name}": "one\n" for name in ("both", "mine", "theirs", "gone", "dropped")}
    files["usr/etc/d/inner"] = "one\n"
    lab.image("12.1", sequence=1, files=files)
    deploy(lab.sysroot(), REF)
    here = etc(lab)
    (here / "both").write_text("mine\n")
    (here / "mine").write_text("mine\n")
    (here / "gone").unlink()
    (here / "dropped").write_text("mine\n")
    (here / "new").write_text("mine\n")
    (here / "d/more").write_text("mine\n")
    (here / "machine-id").write_text("0" * 32 + "\n")
    return lab


def upgraded(lab: Lab) -> Lab:
    files = {f"usr/etc/{name}": "two\n" for name in ("both", "theirs", "gone", "new")}
    files |= {"usr/etc/mine": "one\n", "usr/etc/d/inner": "one\n"}
    lab.image("12.2", sequence=2, files=files)
    deploy(lab.sysroot(), REF)
    return lab


def told(lab: Lab) -> dict[str, tuple[str, str]]:
    found = etc_difference(lab.sysroot())
    return {one.path: (one.change, one.image) for one in found.changes}


def test_what_was_changed_is_listed(machine: Lab) -> None:
    assert told(machine) == {
        "/etc/both": ("modified", ""),
        "/etc/mine": ("modified", ""),
        "/etc/gone": ("removed", ""),
        "/etc/dropped": ("modified", ""),
        "/etc/new": ("added", ""),
        "/etc/d/more": ("added", ""),
        "/etc/machine-id": ("added", ""),
    }


def test_edits_survive_an_upgrade_and_conflicts_are_told(machine: Lab) -> None:
    upgraded(machine)
    here = etc(machine)
    assert (here / "both").read_text() == "mine\n"
    assert (here / "mine").read_text() == "mine\n"
    assert (here / "theirs").read_text() == "two\n"
    assert not (here / "gone").exists()
    assert (here / "new").read_text() == "mine\n"
    found = told(machine)
    assert found["/etc/both"] == ("modified", "modified")
    assert found["/etc/mine"] == ("modified", "")
    assert found["/etc/gone"] == ("removed", "modified")
    assert found["/etc/dropped"] == ("added", "removed")
    assert found["/etc/new"] == ("modified", "added")
    assert "/etc/theirs" not in found
    said = machine.dolmen("etc-diff", "--conflicts", "--patch")
    assert (said.code, said.json["conflicts"]) == (1, 4)
    [both] = [one for one in said.json["changes"] if one["path"] == "/etc/both"]
    assert both["patch"][-2:] == ["-two", "+mine"]


def test_what_waits_is_compared_before_it_is_started(machine: Lab) -> None:
    upgraded(machine)
    changes.rollback(machine.sysroot())
    # nothing runs in a directory: the second entry stands for what would be started next
    found = etc_difference(machine.sysroot())
    assert found.version == "12.1"


def test_one_file_goes_back(machine: Lab) -> None:
    sysroot = machine.sysroot()
    here = etc(machine)
    assert reset_etc(sysroot, ["/etc/both"]) == ("/etc/both",)
    assert (here / "both").read_text() == "one\n"
    assert reset_etc(sysroot, ["/etc/both"]) == ()
    assert reset_etc(sysroot, ["/etc/new"]) == ("/etc/new",)
    assert not (here / "new").exists()
    assert reset_etc(sysroot, ["/etc/gone"]) == ("/etc/gone",)
    assert (here / "gone").read_text() == "one\n"


def test_all_goes_back_but_what_is_this_machine_s(machine: Lab) -> None:
    here = etc(machine)
    done = reset_etc(machine.sysroot(), ["/etc"])
    assert done == ("/etc/both", "/etc/dropped", "/etc/gone", "/etc/mine")
    assert (here / "d/more").exists()
    reset_etc(machine.sysroot(), ["/etc"], added=True)
    assert not (here / "d/more").exists()
    assert (here / "machine-id").exists()
    assert reset_etc(machine.sysroot(), ["/etc/machine-id"]) == ("/etc/machine-id",)


def test_nothing_outside_is_touched(machine: Lab, tmp_path: Path) -> None:
    sysroot = machine.sysroot()
    for path in ("/usr/etc/both", "etc/both", "/etc/../usr/x", "/etcetera"):
        with pytest.raises(UsageError):
            reset_etc(sysroot, [path])
    here = etc(machine)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "inner").write_text("precious\n")
    (here / "d/more").unlink()
    (here / "d/inner").unlink()
    (here / "d").rmdir()
    (here / "d").symlink_to(victim)
    with pytest.raises(MachineError) as caught:
        reset_etc(sysroot, ["/etc/d/inner"])
    assert caught.value.reason == "etc-link"
    assert (victim / "inner").read_text() == "precious\n"
    assert "/etc/d" in reset_etc(sysroot, ["/etc/d"])
    assert (here / "d/inner").read_text() == "one\n"
    assert (victim / "inner").read_text() == "precious\n"


def test_the_modes_and_owners_of_the_image_come_back(machine: Lab) -> None:
    here = etc(machine)
    (here / "theirs").chmod(0o600)
    assert told(machine)["/etc/theirs"] == ("modified", "")
    reset_etc(machine.sysroot(), ["/etc/theirs"])
    assert (here / "theirs").stat().st_mode & 0o777 == 0o644


def test_the_commands(machine: Lab) -> None:
    said = machine.dolmen("reset-etc", "/etc/both")
    assert said.json == {"paths": ["/etc/both"]}
    said = machine.dolmen("etc-diff")
    assert "/etc/both" not in [one["path"] for one in said.json["changes"]]
    said = machine.dolmen("etc-diff", "/etc/mine", "/etc/d")
    assert [one["path"] for one in said.json["changes"]] == ["/etc/d/more", "/etc/mine"]
    assert said.json["changes"][1]["patch"][-2:] == ["-one", "+mine"]
    upgraded(machine)
    said = machine.dolmen("diff")
    assert (said.json["before"]["version"], said.json["after"]["version"]) == ("12.1", "12.2")
    assert machine.dolmen("diff", "nothing").reason == "no-deployment"


def test_other_numbers_of_accounts_are_told(lab: Lab) -> None:
    def image(version: str, number: int, sequence: int) -> list[str]:
        files = {
            "usr/etc/passwd": f"root:x:0:0::/root:/bin/sh\nmessagebus:x:{number}:101::/:/bin/no\n",
            "usr/etc/group": f"root:x:0:\n_ssh:x:{number + 6}:\nnew{version}:x:7:\n",
        }
        lab.image(version, sequence=sequence, files=files)
        said: list[Event] = []
        deploy(lab.sysroot(), REF, emit=said.append)
        return [one.message for one in said if isinstance(one, Notice) and one.level == "warning"]

    assert image("12.1", 100, 1) == []
    assert image("12.2", 100, 2) == []
    (told_of,) = image("13.1", 999, 3)
    assert "user messagebus: 100 here, 999 in the image" in told_of
    assert "group _ssh: 106 here, 1005 in the image" in told_of
    assert "root" not in told_of
