"""What is written before an image is there: whatever that was, the disk is the same bytes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.model import Sha256
from dolmen.store.objects import Objects
from dolmen.support.errors import StoreError
from dolmen.system.disk.ahead import Ahead, ahead
from dolmen.system.disk.layout import DiskOptions
from dolmen.system.disk.order import LEAST, of_packages
from dolmen.system.disk.preparing import Prepared
from dolmen.system.disk.replacing import replacing
from dolmen.system.disk.writing import write_disk
from tests.lib.disks import MIB, TinyImage, check_ext4, no_loader, partition, tiny_image

SMALL = DiskOptions(size=300 * MIB, boot_size=16 * MIB, esp_size=8 * MIB)
_RANDOM = random.Random("ahead")
#: One of them is longer than an extent may be.
SIZES = {
    "usr/bin/first": 3 * MIB + 5,
    "usr/lib/large": 140 * MIB,
    "usr/lib/modules/6/kernel/one.ko": LEAST,
    "usr/lib/small": LEAST - 1,
    "usr/share/last": 40_000,
}
FILES = {path: _RANDOM.randbytes(min(size, MIB)).ljust(size, b"x") for path, size in SIZES.items()}
FIRST = [path for path, size in SIZES.items() if size >= LEAST]


@dataclass(frozen=True, slots=True)
class World:
    """An image, its packages' files as a build would tell them, and its disk written in one go."""

    image: TinyImage
    files: Mapping[str, Sha256]
    plain: Path

    @property
    def objects(self) -> Objects:
        return Objects(self.image.repository)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    place = tmp_path_factory.mktemp("world")
    image = tiny_image(place / "store", files=FILES)
    with image.store.tree_builder() as builder:
        builder.merge_commit(image.commit)
        found = {path: builder.find(path) for path in FILES}
    files = {path: checksum for path, checksum in found.items() if checksum is not None}
    assert files.keys() == FILES.keys()
    plain = place / "plain"
    write_disk(image.repository, image, plain, assets=no_loader, options=SMALL)
    root = partition(plain, "root", place / "root")
    check_ext4(root)
    return World(image, files, plain)


def written(
    world: World, target: Path, begin: Callable[[Ahead], None], options: DiskOptions = SMALL
) -> int:
    """Write the disk with something written ahead; how many objects stayed where they were."""
    image = world.image
    with replacing(target) as fd, ahead(fd, options) as writer:
        begin(writer)
        there = dict(writer.finish())
        prepared = Prepared(
            image.repository, image, assets=no_loader, options=options, written=there
        )
        write_disk(image.repository, image, target, assets=no_loader, options=options, ahead=writer)
    return len(prepared.kept)


def whole(world: World, files: Mapping[str, Sha256]) -> Callable[[Ahead], None]:
    """Write all of these files ahead, to the end."""

    def begin(writer: Ahead) -> None:
        writer.begin(world.objects, files)
        assert writer._thread is not None
        writer._thread.join(60)

    return begin


def same(one: Path, other: Path) -> bool:
    """Whether two disks are the same bytes."""
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            data = first.read(MIB)
            if data != second.read(MIB):
                return False
            if not data:
                return True


def test_what_is_known_before_stays_where_it_is(world: World, tmp_path: Path) -> None:
    kept = written(world, tmp_path / "disk", whole(world, world.files))
    assert kept == len(FIRST)
    assert same(tmp_path / "disk", world.plain)
    # Nothing was written twice, and holes are holes.
    blocks = [path.stat().st_blocks for path in (tmp_path / "disk", world.plain)]
    assert abs(blocks[0] - blocks[1]) * 512 < MIB


@pytest.mark.parametrize("change", ["gone", "more", "other", "shorter"])
def test_what_came_otherwise_leaves_no_trace(world: World, tmp_path: Path, change: str) -> None:
    """Scripts take files away and write over others; what comes behind them lies elsewhere."""
    files = dict(world.files)
    if change == "gone":
        with world.image.store.tree_builder() as builder:
            files["usr/lib/a-file"] = builder.add_file("usr/lib/a-file", b"gone" * 50_000)
            builder.commit("test/gone")
    elif change == "more":
        del files["usr/bin/first"]
    elif change == "other":
        files["usr/bin/first"] = files["usr/share/last"]
    else:
        with world.image.store.tree_builder() as builder:
            files["usr/bin/first"] = builder.add_file("usr/bin/first", b"other" * 500_000)
            builder.commit("test/shorter")
    kept = written(world, tmp_path / "disk", whole(world, files))
    assert kept < len(FIRST)
    assert same(tmp_path / "disk", world.plain)
    if change == "gone":
        assert kept == 1
    root = partition(tmp_path / "disk", "root", tmp_path / "root")
    check_ext4(root)


def test_it_may_end_at_any_moment(world: World, tmp_path: Path) -> None:
    def cut(writer: Ahead) -> None:
        writer.begin(world.objects, world.files)
        time.sleep(0.05)

    def never(_writer: Ahead) -> None:
        pass

    written(world, tmp_path / "cut", cut)
    assert same(tmp_path / "cut", world.plain)
    assert written(world, tmp_path / "never", never) == 0
    assert same(tmp_path / "never", world.plain)


def test_a_disk_of_no_given_size_is_met_too(world: World, tmp_path: Path) -> None:
    options = DiskOptions(boot_size=16 * MIB, esp_size=8 * MIB)
    assert written(world, tmp_path / "disk", whole(world, world.files), options) == len(FIRST)
    image = world.image
    write_disk(image.repository, image, tmp_path / "plain", assets=no_loader, options=options)
    assert same(tmp_path / "disk", tmp_path / "plain")


def test_a_damaged_object_is_not_taken_for_written(tmp_path: Path) -> None:
    image = tiny_image(tmp_path / "store", files={"usr/bin/first": b"sound" * 20_000})
    with image.store.tree_builder() as builder:
        builder.merge_commit(image.commit)
        checksum = builder.find("usr/bin/first")
    assert checksum is not None
    here = World(image, {"usr/bin/first": checksum}, tmp_path)
    assert written(here, tmp_path / "twin", whole(here, here.files)) == 1
    path = Path(here.objects.path(checksum, "file"))
    path.chmod(0o644)
    path.write_bytes(b"wrong" * 20_000)
    with pytest.raises(StoreError) as caught:
        written(here, tmp_path / "disk", whole(here, here.files))
    assert caught.value.reason == "object-damaged"
    assert not (tmp_path / "disk").exists()


def test_a_full_disk_is_told_when_the_disk_is_written(world: World) -> None:
    """Writing ahead ends there, without a word."""
    fd = os.open("/dev/full", os.O_RDWR)
    try:
        with ahead(fd, SMALL) as writer:
            whole(world, world.files)(writer)
            assert writer.finish() == {}
    finally:
        os.close(fd)


def test_the_kernels_own_files_are_moved_and_come_later(tmp_path: Path) -> None:
    content = b"kernel" * 10_000
    files = {"usr/lib/modules/6/vmlinuz": content, "usr/lib/modules/6/kernel/x.ko": content[1:]}
    image = tiny_image(tmp_path / "store", files=files)
    made = Prepared(image.repository, image, assets=no_loader, options=SMALL)
    tree = made.tree.child(f"ostree/deploy/debian/deploy/{image.commit}.0")
    assert [node.size for node in of_packages(tree)] == [len(content) - 1]
