"""`dolmen system image` and `install DISK`, with a build and a boot loader that are at hand."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dolmen.cli.main import main
from dolmen.cli.verbs.system.install import names_disk
from dolmen.model import parse_lock, parse_manifest, render_lock
from dolmen.system import building
from dolmen.system.disk import making
from dolmen.system.disk.layout import DiskOptions
from tests.lib.disks import MIB, TinyImage, no_loader, run, tiny_image
from tests.lib.locks import lock_of, locked

MANIFEST = """\
suite = "bookworm"
[system]
[system.disk]
size = "80M"
boot-size = "16M"
esp-size = "8M"
[system.update]
url = "http://update.invalid/repo"
ref = "machines/web"
"""


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        return str(json.loads(self.out.splitlines()[-1])["error"]["reason"])


Say = Callable[..., Said]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "machine"
    made.mkdir()
    (made / "dolmen.toml").write_text(MANIFEST)
    lock = replace(lock_of(locked("base-files")), inputs=parse_manifest(MANIFEST).inputs())
    (made / "dolmen.lock").write_text(render_lock(lock))
    return made


@pytest.fixture
def say(
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Say:
    """Types a command line in the machine's directory; what is built is always the tiny image."""
    image = tiny_image(tmp_path / "store")

    def build(lock: Any, *_rest: Any, **_more: Any) -> Any:
        return building.SystemImage(image.key, image.key, image.commit, "", lock)

    monkeypatch.setattr(building, "build", build)
    monkeypatch.setattr(making, "boot_loader", lambda *_rest: no_loader)
    monkeypatch.setenv("DOLMEN_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(directory)

    def type_(*argv: str) -> Said:
        capsys.readouterr()
        code = main(argv)
        return Said(code, *capsys.readouterr())

    return type_


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "disk"),
    [
        (["/dev/sda"], True),
        (["--yes", "/dev/sda"], True),
        (["./vm.raw", "--seed", "x"], True),
        (["htop"], False),
        (["./htop.deb"], False),
        (["-C", "/etc/machine", "htop"], False),
        (["htop", "--sysroot", "/mnt"], False),
        (["--help"], False),
    ],
)
def test_a_path_means_a_disk(words: list[str], disk: bool) -> None:
    assert names_disk(words) is disk


def test_an_image_is_as_declared(say: Say, directory: Path) -> None:
    said = say("system", "image", "-o", "disk.raw", "--json")
    assert said.code == 0
    answer = json.loads(said.out)
    assert answer["size"] == 80 * MIB
    assert answer["form"] == "raw"
    assert [part["name"] for part in answer["partitions"]] == ["bios", "esp", "boot", "root"]
    assert answer["partitions"][1]["size"] == 8 * MIB
    assert "No errors detected" in run("sfdisk", "--verify", directory / "disk.raw")
    packed = say("system", "image", "-o", "disk.qcow2", "--size=100M", "--json")
    assert json.loads(packed.out)["form"] == "qcow2"
    shown = json.loads(run("qemu-img", "info", "--output=json", directory / "disk.qcow2"))
    assert shown["virtual-size"] == 100 * MIB
    again = say("system", "image", "-o", "again", "--format=raw", "--seed=other")
    assert again.code == 0
    assert sha256(directory / "again") != sha256(directory / "disk.raw")


def test_what_the_manifest_says_holds_where_nothing_is_given(directory: Path) -> None:
    manifest, lock = making.declared(directory)
    found = making.disk_options(manifest, lock, DiskOptions(seed="s", size=5 * MIB))
    assert (found.size, found.boot_size, found.seed) == (5 * MIB, 16 * MIB, "s")
    assert found.refspec == "origin:machines/web"
    assert found.architecture == "amd64"
    assert parse_lock((directory / "dolmen.lock").read_text()).architecture == "amd64"


def test_sizes_and_names_that_make_no_sense_are_refused(say: Say) -> None:
    for words in (("-o", "d", "--size=big"), ("-o", "d", "--format=vmdk"), ()):
        assert say("system", "image", *words, "--json").code == 2
    said = say("system", "image", "-o", "disk", "--size=40M", "--json")
    assert (said.code, said.reason) == (2, "disk-too-small")


@pytest.mark.parametrize(
    ("file", "reason"), [("dolmen.lock", "no-lock"), ("dolmen.toml", "no-environment")]
)
def test_a_directory_that_declares_nothing_is_told(
    say: Say, directory: Path, file: str, reason: str
) -> None:
    (directory / file).unlink()
    said = say("system", "image", "-o", "disk", "--json")
    assert (said.code, said.reason) == (3, reason)


def test_a_file_that_is_a_disk_is_overwritten_when_that_is_confirmed(
    say: Say, directory: Path
) -> None:
    disk = directory / "vm.raw"
    with disk.open("wb") as stream:
        stream.write(b"precious")
        stream.truncate(90 * MIB)
    before = sha256(disk)
    refused = say("system", "install", "./vm.raw", "--json")
    assert (refused.code, refused.reason) == (2, "not-confirmed")
    assert "90" in refused.err
    assert "vm.raw" in refused.err
    assert sha256(disk) == before
    done = say("system", "install", "./vm.raw", "--yes", "--json")
    assert done.code == 0
    assert disk.stat().st_size == 90 * MIB == json.loads(done.out)["size"]
    assert "No errors detected" in run("sfdisk", "--verify", disk)
    said = say("system", "install", "./vm.raw", "--json")
    assert said.code == 2
    assert "root" in said.err


def test_a_disk_that_is_not_there_is_told(say: Say) -> None:
    said = say("system", "install", "./nothing", "--yes", "--json")
    assert (said.code, said.reason) == (2, "no-disk")


def test_a_tiny_image_is_one(tmp_path: Path) -> None:
    image = tiny_image(tmp_path / "store")
    assert isinstance(image, TinyImage)
    assert "no errors found" in run("ostree", f"--repo={image.repository}", "fsck")


class _Typed(io.StringIO):
    """A terminal at which this was typed."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "code"), [("./vm.raw\n", 2), ("vm.raw\n", 0), ("yes\n", 2), ("", 2)]
)
def test_the_name_of_the_disk_has_to_be_typed(
    say: Say, directory: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    disk = directory / "vm.raw"
    with disk.open("wb") as stream:
        stream.truncate(90 * MIB)
    monkeypatch.setattr(sys, "stdin", _Typed(typed))
    said = say("system", "install", "./vm.raw")
    assert said.code == code
    assert "Type vm.raw to overwrite it" in said.err
    with disk.open("rb") as stream:
        assert any(stream.read(MIB)) is (code == 0)
