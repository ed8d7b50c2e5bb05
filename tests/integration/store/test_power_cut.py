"""The power goes: what was reported done is there afterwards, and nothing is half there.

`FS_IOC_SHUTDOWN` without a log flush stops a file system as a power cut would, and mounting it
again replays its journal. Ordinary ext4 hides missing syncs (auto_da_alloc), hence these two.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.store import Store
from tests.integration.store.test_stress import CHECKOUT, PROGRAM, fsck
from tests.lib.debs import Entry, lock_entry, make_deb

pytestmark = pytest.mark.root

_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = (2).to_bytes(4, "little")


@dataclass
class Disk:
    """A small file system in a file."""

    image: Path
    mount: Path
    options: str

    def up(self) -> None:
        subprocess.run(
            ["mount", "-o", f"loop,{self.options}", self.image, self.mount], check=True, timeout=60
        )

    def down(self) -> None:
        # Lazily: a sandbox that someone started meanwhile may hold a copy of the mount.
        subprocess.run(["umount", "-l", self.mount], check=True, timeout=60)

    def cut(self) -> None:
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def again(self) -> None:
        """Mount a copy of what had reached the disk: the file system that was shut down may live
        on in other mount namespaces, and would be found there."""
        copy = self.image.with_name(f"{self.image.name}+")
        subprocess.run(["cp", "--sparse=always", self.image, copy], check=True, timeout=60)
        self.down()
        self.image.unlink()
        self.image = copy
        self.up()


@pytest.fixture(params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    kind = request.param
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"mkfs.{kind} is not installed")
    options = "noauto_da_alloc" if kind == "ext4" else "nouuid"
    found = Disk(tmp_path / "image", tmp_path / "mount", options)
    with found.image.open("wb") as stream:
        stream.truncate(512 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", found.image], check=True, timeout=60)
    found.mount.mkdir()
    found.up()
    try:
        yield found
    finally:
        found.down()


@pytest.fixture(scope="module")
def debs(public_directory: Path) -> Path:
    directory = public_directory / "power-debs"
    noise = random.Random(2)
    for number in range(4):
        files: dict[str, Entry] = {
            f"usr/share/q{number}/d{index % 5}/f{index}": noise.randbytes(1_000)
            for index in range(100)
        }
        files[f"usr/lib/big{number}"] = noise.randbytes(1_000_000)
        make_deb(directory, f"q{number}", files=files)
    return directory


def worker(store: Path, debs: Path) -> list[str]:
    path = f"{CHECKOUT / 'src'}:{CHECKOUT}"
    return ["/usr/bin/python3", "-c", PROGRAM, path, str(store), str(debs)]


def contents(tree: Path) -> dict[str, bytes]:
    return {str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob("*") if p.is_file()}


def test_what_was_done_stays_done(disk: Disk, debs: Path, tmp_path: Path) -> None:
    subprocess.run(worker(tmp_path / "twin", debs), check=True, capture_output=True, timeout=120)
    (whole,) = (tmp_path / "twin/trees").iterdir()
    place = disk.mount / "store"
    done = subprocess.run(
        worker(place, debs), check=True, capture_output=True, text=True, timeout=120
    )
    disk.cut()
    disk.again()
    root, commit = done.stdout.split()[-2:]
    store = Store.open(place)
    image = store.image(root)  # type: ignore[arg-type]
    assert image is not None
    assert (image.root, image.commit) == (root, commit)
    assert list(store.check(image.commit)) == []
    assert contents(store.realise(image)) == contents(whole)
    assert all(store.has_package(lock_entry(deb).sha256) for deb in debs.glob("*.deb"))
    fsck(place)


def test_cut_at_any_moment(disk: Disk, debs: Path) -> None:
    place = disk.mount / "store"
    chance = random.Random(3)
    cuts = 0
    for _ in range(4):
        child = subprocess.Popen(
            worker(place, debs), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.random() * 0.5)
        disk.cut()
        cuts += child.wait(60) != 0
        child.stdout.close()
        disk.again()
        if not (place / "format").exists():
            continue  # cut while it was made
        store = Store.open(place)
        for deb in debs.glob("*.deb"):
            package = lock_entry(deb)
            if store.has_package(package.sha256):
                commit = store.resolve(f"deb/{package.sha256}")
                assert commit is not None
                assert list(store.check(commit)) == []
        for tree in store.trees.iterdir():
            assert len(contents(tree)) == 404
            assert all(contents(tree).values())
    done = subprocess.run(worker(place, debs), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    store = Store.open(place)
    (tree,) = store.trees.iterdir()
    assert len(contents(tree)) == 404
    assert list(store.check(done.stdout.split()[-1])) == []  # type: ignore[arg-type]
