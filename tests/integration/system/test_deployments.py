"""Deployments of a sysroot in a directory: read, made, ordered, kept, removed."""

from __future__ import annotations

import pytest

from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import BusyError, MachineError, UsageError
from dolmen.system.machine import changes
from dolmen.system.machine.deploying import deploy
from dolmen.system.machine.status import status
from tests.lib.sysroots import REF, Lab

pytestmark = pytest.mark.root


def versions(sysroot: Sysroot) -> list[str]:
    return [one.version for one in sysroot.own()]


def grown(lab: Lab, *numbers: int, **options: object) -> Sysroot:
    """A sysroot to which images 12.1, 12.2, … were deployed one after the other."""
    sysroot = lab.sysroot()
    for number in numbers:
        lab.image(f"12.{number}", {"jq": f"1.{number}"}, sequence=number)
        deploy(sysroot, REF, arguments=("root=LABEL=root", "rw") if number == 1 else (), keep=0)
    return sysroot


def test_an_image_becomes_what_is_started(lab: Lab) -> None:
    commit = lab.image("12.1", {"jq": "1.6-2"}, kargs="quiet console=ttyS0")
    sysroot = lab.sysroot()
    outcome = deploy(sysroot, REF, arguments=("root=LABEL=root", "rw"))
    assert outcome.changed
    assert outcome.deployment is not None
    assert outcome.deployment.commit == commit
    [entry] = lab.entries()
    assert "options root=LABEL=root rw ostree=/ostree/boot." in entry
    found = status(lab.sysroot())
    assert [(one.role, one.packages) for one in found.entries] == [("default", 1)]
    assert found.entries[0].deployment.metadata.architecture == "amd64"
    assert found.entries[0].deployment.origin["origin"] == {"refspec": REF}
    # stock ostree sees the same
    assert commit in lab.ostree("admin", "status", f"--sysroot={lab.path}")


def test_the_image_s_own_kernel_arguments_change_with_it_and_others_stay(lab: Lab) -> None:
    sysroot = lab.sysroot()
    lab.image("12.1", sequence=1, kargs="quiet old=1")
    first = deploy(sysroot, REF).deployment
    assert first is not None
    assert first.arguments == ("quiet", "old=1")
    second = changes.change_arguments(sysroot, append=["mine"], delete=["quiet"]).deployment
    assert second is not None
    assert second.arguments == ("old=1", "mine")
    lab.image("12.2", sequence=2, kargs="quiet new=1")
    third = deploy(sysroot, REF).deployment
    assert third is not None
    assert third.arguments == ("mine", "new=1")


def test_status_says_what_differs_package_by_package(lab: Lab) -> None:
    sysroot = lab.sysroot()
    lab.image("12.1", {"jq": "1.6-2", "old": "1"}, sequence=1)
    deploy(sysroot, REF)
    lab.image("12.2", {"jq": "1.7-1", "new": "1"}, sequence=2)
    outcome = deploy(sysroot, REF)
    told = [(one.name, one.before, one.after, one.direction) for one in outcome.changes]
    assert told == [
        ("jq", "1.6-2", "1.7-1", "upgraded"),
        ("new", None, "1", "added"),
        ("old", "1", None, "removed"),
    ]
    rollback = status(sysroot).entry("rollback")
    assert rollback is not None
    assert [one.direction for one in rollback.changes] == ["downgraded", "removed", "added"]


def test_rollback_starts_the_one_before_for_good_and_again_the_other(lab: Lab) -> None:
    sysroot = grown(lab, 1, 2)
    assert versions(sysroot) == ["12.2", "12.1"]
    changes.rollback(sysroot)
    assert versions(sysroot) == ["12.1", "12.2"]
    changes.rollback(sysroot)
    assert versions(lab.sysroot()) == ["12.2", "12.1"]


def test_a_single_deployment_has_nothing_to_go_back_to(lab: Lab) -> None:
    with pytest.raises(MachineError) as caught:
        changes.rollback(grown(lab, 1))
    assert caught.value.reason == "no-rollback"


def test_entries_are_bounded_and_pins_hold(lab: Lab) -> None:
    sysroot = grown(lab, 1, 2, 3)
    assert versions(sysroot) == ["12.3", "12.2"]
    changes.pin(sysroot, "12.2", pinned=True)
    lab.image("12.4", sequence=4)
    deploy(sysroot, REF)
    assert versions(sysroot) == ["12.4", "12.3", "12.2"]
    changes.pin(sysroot, "12.2", pinned=False)
    lab.image("12.5", sequence=5)
    outcome = deploy(sysroot, REF)
    assert versions(sysroot) == ["12.5", "12.4"]
    assert [one.version for one in outcome.removed] == ["12.3", "12.2"]


def test_more_are_kept_where_that_is_declared(lab: Lab) -> None:
    sysroot = lab.sysroot()
    toml = 'suite = "bookworm"\n[system.update]\nkeep = 2\n'
    for number in range(1, 6):
        files = {"usr/share/dolmen/dolmen.toml": toml}
        lab.image(f"12.{number}", sequence=number, files=files)
        deploy(sysroot, REF)
    assert versions(sysroot) == ["12.5", "12.4", "12.3", "12.2"]


def test_cleanup_takes_what_is_named_and_no_pinned_one(lab: Lab) -> None:
    sysroot = grown(lab, 1, 2)
    changes.pin(sysroot, "rollback", pinned=True)
    assert changes.cleanup(sysroot, rollbacks=True, kept=True) == ()
    changes.pin(sysroot, "rollback", pinned=False)
    gone = changes.cleanup(sysroot, rollbacks=True)
    assert [one.version for one in gone] == ["12.1"]
    assert versions(sysroot) == ["12.2"]
    assert not gone[0].path.exists()
    lab.ostree("fsck", f"--repo={lab.repo}", "--quiet")


def test_kernel_arguments_that_are_none(lab: Lab) -> None:
    sysroot = grown(lab, 1)
    for word in ("ostree=/x", "two words", "", "a\nb"):
        with pytest.raises(UsageError):
            changes.change_arguments(sysroot, append=[word])
    with pytest.raises(UsageError):
        changes.change_arguments(sysroot, delete=["absent"])
    assert changes.change_arguments(sysroot, append=["good"]).changed


def test_one_change_at_a_time(lab: Lab) -> None:
    sysroot = grown(lab, 1)
    other = lab.sysroot()
    with sysroot.changing():
        with pytest.raises(BusyError) as caught, other.changing():
            pass
        assert caught.value.reason == "busy"
    with other.changing():
        pass


def test_the_command_does_all_that(lab: Lab) -> None:
    lab.image("12.1", {"jq": "1.6-2"}, sequence=1)
    said = lab.dolmen("deploy", REF, "--karg=root=LABEL=root", "--karg=rw")
    assert (said.code, said.json["deployment"]["version"]) == (0, "12.1")
    lab.image("12.2", {"jq": "1.7-1"}, sequence=2)
    said = lab.dolmen("deploy", REF)
    assert [one["name"] for one in said.json["packages"]] == ["jq"]
    assert lab.dolmen("rollback").json["deployment"]["version"] == "12.1"
    assert lab.dolmen("pin", "0").json["pinned"] is True
    assert lab.dolmen("kargs").json == {"arguments": ["root=LABEL=root", "rw"]}
    said = lab.dolmen("status")
    assert [one["role"] for one in said.json["deployments"]] == ["default", "rollback"]
    assert lab.dolmen("cleanup", "--rollback").code == 0
    assert len(lab.dolmen("status").json["deployments"]) == 1
