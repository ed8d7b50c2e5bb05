"""apply-live: what is safe, what is refused, what is put where."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.store.sysroot import Deployment
from dolmen.support.errors import MachineError
from dolmen.system.machine import packages
from dolmen.system.machine.deploying import deploy
from dolmen.system.machine.live import apply_live, differences, put, put_etc, refuse
from tests.lib.sysroots import REF, Lab

pytestmark = pytest.mark.root


def both(lab: Lab, more: dict[str, str], files: dict[str, str]) -> tuple[Deployment, Deployment]:
    lab.image("12.1", {"jq": "1"}, sequence=1, files={"usr/bin/jq": "jq\n", "usr/etc/own": "one\n"})
    deploy(lab.sysroot(), REF)
    there = {"usr/bin/jq": "jq\n", "usr/etc/own": "one\n", **files}
    lab.image("12.1", more, sequence=1, files=there)
    deploy(lab.sysroot(), REF)
    after, before = lab.sysroot().own()
    return before, after


def judged(before: Deployment, after: Deployment) -> None:
    refuse(
        packages.differences(packages.of_deployment(before), packages.of_deployment(after)),
        differences(before.path / "usr", after.path / "usr"),
        after,
    )


def test_additions_are_put_into_another_usr(lab: Lab, tmp_path: Path) -> None:
    files = {"usr/bin/new": "new\n", "usr/lib/new/data": "x\n", "usr/etc/new.conf": "new\n"}
    before, after = both(lab, {"jq": "1", "new": "1"}, files)
    judged(before, after)
    found = differences(before.path / "usr", after.path / "usr")
    assert {"bin/new", "lib/new", "lib/new/data"} <= set(found.added)
    assert found.changed == ("lib/sysimage/dpkg/status",)
    usr, etc = tmp_path / "usr", tmp_path / "etc"
    for path in ("bin", "lib/sysimage/dpkg"):
        (usr / path).mkdir(parents=True)
    etc.mkdir()
    assert put(after.path / "usr", usr, found) == 3
    assert (usr / "bin/new").read_text() == "new\n"
    assert "Package: new" in (usr / "lib/sysimage/dpkg/status").read_text()
    assert put_etc(after.path / "usr/etc", before.path / "usr/etc", etc) == ("/etc/new.conf",)
    (etc / "new.conf").write_text("mine\n")
    assert put_etc(after.path / "usr/etc", before.path / "usr/etc", etc) == ()


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({"jq": "2", "new": "1"}, {"usr/bin/new": "new\n"}),
        ({"new": "1"}, {"usr/bin/new": "new\n"}),
        ({"jq": "1", "new": "1"}, {"usr/bin/jq": "another\n"}),
        ({"jq": "1"}, {"usr/bin/new": "new\n"}),
    ],
)
def test_anything_else_is_refused(lab: Lab, more: dict[str, str], files: dict[str, str]) -> None:
    with pytest.raises(MachineError) as caught:
        judged(*both(lab, more, files))
    assert caught.value.reason == "not-live"


def test_only_a_running_system(lab: Lab) -> None:
    both(lab, {"jq": "1", "new": "1"}, {})
    with pytest.raises(MachineError) as caught:
        apply_live(lab.sysroot())
    assert caught.value.reason == "not-booted"
