"""What is refused before anything is switched: each with the twin that is taken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.lib.sysroots import EPOCH, REF, Lab, Said
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.root


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.image("12.5", {"jq": "1.6-2"}, sequence=5)
    assert lab.dolmen("deploy", REF).code == 0
    return lab


def refused(lab: Lab, said: Said, reason: str, code: int = 12) -> None:
    assert (said.reason, said.code) == (reason, code), said
    assert said.json["error"]["hint"]
    # nothing was switched
    assert [one["version"] for one in lab.dolmen("status").json["deployments"]] == ["12.5"]


def test_another_architecture(lab: Lab) -> None:
    lab.image("12.6", sequence=6, architecture="arm64")
    refused(lab, lab.dolmen("deploy", REF), "other-architecture")
    lab.image("12.7", sequence=7, architecture="amd64")
    assert lab.dolmen("deploy", REF).code == 0


def test_an_older_image(lab: Lab) -> None:
    lab.image("12.4", sequence=4)
    refused(lab, lab.dolmen("deploy", REF), "older-image")
    assert lab.dolmen("deploy", REF, "--allow-downgrade").code == 0
    # asked for once, it is the mark from now on
    lab.image("12.4b", sequence=4)
    assert lab.dolmen("deploy", REF).code == 0


def test_what_was_here_before_a_rollback_still_counts(lab: Lab) -> None:
    lab.image("12.8", sequence=8)
    assert lab.dolmen("deploy", REF).code == 0
    assert lab.dolmen("rollback").json["deployment"]["version"] == "12.5"
    assert lab.dolmen("cleanup", "--rollback").code == 0
    lab.image("12.7", sequence=7)
    refused(lab, lab.dolmen("deploy", REF), "older-image")


def test_an_image_of_the_future(lab: Lab) -> None:
    lab.image("99", sequence=4_000_000_000 - EPOCH)
    refused(lab, lab.dolmen("deploy", REF), "future-image")


@pytest.mark.parametrize(
    ("without", "reason"),
    [
        ("usr/lib/modules/6.1.0-1-amd64/vmlinuz", "no-kernel"),
        ("usr/lib/modules/6.1.0-1-amd64/initramfs.img", "no-kernel"),
        ("usr/etc", "no-system"),
        ("usr/lib/os-release", "no-system"),
    ],
)
def test_an_image_that_lacks_something(lab: Lab, without: str, reason: str) -> None:
    lab.image("12.6", sequence=6, without=[without])
    if without == "usr/etc":
        tree = lab.directory / "tree2"
        (tree / "usr/etc").rmdir()
        lab.ostree("commit", f"--repo={lab.repo}", f"--branch={REF}", f"--tree=dir={tree}")
    refused(lab, lab.dolmen("deploy", REF), reason)
    lab.image("12.7", sequence=7)
    assert lab.dolmen("deploy", REF, "--allow-downgrade").code == 0


def test_two_kernels(lab: Lab) -> None:
    more = {f"usr/lib/modules/6.2/{name}": "x" for name in ("vmlinuz", "initramfs.img")}
    lab.image("12.6", sequence=6, files=more)
    refused(lab, lab.dolmen("deploy", REF), "several-kernels")


def test_a_damaged_object(lab: Lab) -> None:
    lab.image("12.6", sequence=6, files={"usr/bin/new": "new\n"})
    listed = lab.ostree("ls", f"--repo={lab.repo}", "-C", REF, "/usr/bin/new").split()
    name = next(word for word in listed if len(word) == 64)
    path = lab.repo / "objects" / name[:2] / f"{name[2:]}.file"
    whole = path.read_bytes()
    path.write_bytes(b"evil\n")
    refused(lab, lab.dolmen("deploy", REF), "image-damaged")
    path.unlink()
    refused(lab, lab.dolmen("deploy", REF), "image-damaged")
    path.write_bytes(whole)
    os.chmod(path, 0o644)
    assert lab.dolmen("deploy", REF).code == 0


_FULL = 'mount -t tmpfs -o size=1m tmpfs "$1/boot.new"; cp -a "$1/boot/." "$1/boot.new"; '
_FULL += 'mount --move "$1/boot.new" "$1/boot"'


def test_a_full_boot(lab: Lab) -> None:
    (lab.path / "boot.new").mkdir()
    lab.image("12.6", sequence=6, kernel="6.2", kernel_bytes=bytes(1 << 20))
    refused(lab, lab.dolmen("deploy", REF, before=_FULL), "boot-full")
    assert lab.dolmen("deploy", REF).code == 0


def test_what_nobody_needs_in_boot_gives_way(lab: Lab) -> None:
    (lab.path / "boot.new").mkdir()
    stale = lab.boot / f"ostree/debian-{'0' * 64}"
    stale.mkdir()
    (stale / "vmlinuz-5").write_bytes(bytes(600 << 10))
    lab.image("12.6", sequence=6, kernel="6.2", kernel_bytes=bytes(500 << 10))
    said = lab.dolmen("deploy", REF, before=_FULL)
    assert said.code == 0, said


def test_a_full_disk(lab: Lab) -> None:
    lab.image("12.6", sequence=6)
    (lab.path / "ostree.new").mkdir()
    full = _FULL.replace("/boot", "/ostree").replace("size=1m", "size=4m")
    refused(lab, lab.dolmen("deploy", REF, before=full), "root-full")
    assert lab.dolmen("deploy", REF).code == 0


def test_nobody_but_root(lab: Lab, installed_source: Path, ordinary_user: OrdinaryUser) -> None:
    lab.image("12.6", sequence=6)
    words = ["system", "deploy", f"--sysroot={lab.path}", "--json", REF]
    said = ordinary_user.run(
        ["/usr/bin/python3", "-m", "dolmen", *words], env={"PYTHONPATH": str(installed_source)}
    )
    assert said.returncode == 8
    assert json.loads(said.stdout)["error"]["reason"] == "not-root"
    assert lab.dolmen("deploy", REF).code == 0


def test_another_state_root_s(lab: Lab) -> None:
    lab.ostree("admin", "os-init", f"--sysroot={lab.path}", "other")
    assert lab.dolmen("deploy", REF, "--os=other").code == 0
    said = lab.dolmen("status")
    assert (said.reason, said.code) == ("no-stateroot", 12)
    said = lab.dolmen("status", "--os=debian")
    assert [one["os"] for one in said.json["deployments"]] == ["debian"]
    other = lab.dolmen("status", "--os=other").json["deployments"][0]
    said = lab.dolmen("pin", other["commit"] + ".1", "--os=debian")
    assert (said.reason, said.code) == ("no-deployment", 12)
    assert lab.dolmen("status", "--os=absent").reason == "no-stateroot"


def test_no_sysroot_and_a_machine_that_is_none(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert lab.dolmen("status", f"--sysroot={tmp_path / 'nothing'}").reason == "no-sysroot"
    if not Path("/run/ostree-booted").exists():
        assert lab.dolmen("status", "--sysroot=/").reason == "not-ostree"


def test_no_such_image(lab: Lab) -> None:
    refused(lab, lab.dolmen("deploy", "nothing/here"), "no-image")
