"""From a commit to a whole disk, and every way in which nothing is written."""

from __future__ import annotations

import hashlib
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.model import Sha256
from dolmen.store.objects import Objects, digest, encode_commit, encode_dirtree
from dolmen.support.errors import DolmenError, HostError, StoreError, UsageError
from dolmen.system.disk import committed
from dolmen.system.disk.layout import DiskOptions
from dolmen.system.disk.preparing import Prepared
from dolmen.system.disk.writing import DiskSummary, write_disk
from tests.lib.disks import (
    KERNEL,
    MIB,
    TinyImage,
    check_ext4,
    debugfs,
    no_loader,
    partition,
    run,
    tiny_image,
)

SMALL = DiskOptions(size=80 * MIB, boot_size=16 * MIB, esp_size=8 * MIB)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> TinyImage:
    return tiny_image(tmp_path_factory.mktemp("store") / "store")


def write(image: TinyImage, target: Path, options: DiskOptions = SMALL) -> DiskSummary:
    return write_disk(image.repository, image, target, assets=no_loader, options=options)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(image: TinyImage, target: Path, options: DiskOptions = SMALL) -> DolmenError:
    """What writing raises; nothing else may be left of it."""
    before = sorted((path, path.stat().st_mtime_ns) for path in target.parent.iterdir())
    with pytest.raises(DolmenError) as caught:
        write(image, target, options)
    assert sorted((path, path.stat().st_mtime_ns) for path in target.parent.iterdir()) == before
    return caught.value


def test_every_part_of_the_disk_is_sound(image: TinyImage, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    summary = write(image, disk)
    assert disk.stat().st_size == summary.size == 80 * MIB
    assert disk.stat().st_blocks * 512 < 4 * summary.written
    assert "No errors detected" in run("sfdisk", "--verify", disk)
    esp, boot, root = (partition(disk, n, tmp_path / n) for n in ("esp", "boot", "root"))
    run("fsck.vfat", "-n", esp)
    run("mcopy", "-i", esp, "::EFI/BOOT/BOOTX64.EFI", tmp_path / "efi")
    assert summary.boot_uuid.encode() in (tmp_path / "efi").read_bytes()
    check_ext4(boot)
    check_ext4(root)
    assert summary.root_uuid in run("dumpe2fs", "-h", root)
    assert summary.boot_uuid in run("dumpe2fs", "-h", boot)


def test_the_boot_entry_names_what_is_there(image: TinyImage, tmp_path: Path) -> None:
    summary = write(image, tmp_path / "disk", replace(SMALL, arguments=("debug",)))
    boot = partition(tmp_path / "disk", "boot", tmp_path / "boot")
    entry = debugfs(boot, "cat loader/entries/ostree-1-debian.conf")
    fields = dict(line.split(" ", 1) for line in entry.splitlines() if " " in line)
    assert fields["title"] == "Tiny 12.7 (ostree:0)" or "Tiny 12" in fields["title"]
    arguments = fields["options"].split()
    assert arguments[0] == f"root=UUID={summary.root_uuid}"
    assert {"rw", "quiet", "console=ttyS0", "debug"} <= set(arguments)
    assert f"dolmen.boot=UUID={summary.boot_uuid}" in arguments
    (target,) = (word for word in arguments if word.startswith("ostree="))
    assert summary.kernel == KERNEL
    checksum = target.split("/")[-2]
    assert fields["linux"] == f"/ostree/debian-{checksum}/vmlinuz-{KERNEL}"
    kernel = debugfs(boot, f"cat {fields['linux']}")
    assert "kernelkernel" in kernel
    menu = debugfs(boot, "cat loader/grub.cfg")
    assert f"'{image.commit}.0'" in menu
    root = partition(tmp_path / "disk", "root", tmp_path / "root")
    deployed = f"ostree/deploy/debian/deploy/{image.commit}.0"
    assert "Mode:  04755" in debugfs(root, f"stat {deployed}/usr/bin/su")
    assert "Links: 3" in debugfs(root, f"stat {deployed}/usr/bin/same")
    assert "security.capability" in debugfs(root, f"ea_list {deployed}/usr/bin/ping")
    assert "Group:    42" in debugfs(root, f"stat {deployed}/etc/shadow")
    assert "Links: 1 " in debugfs(root, f"stat {deployed}/etc/hostname")
    assert "Flags: 0x80010" in debugfs(root, f"stat {deployed}")
    assert "tiny" in debugfs(root, f"cat /ostree/boot.1.1/debian/{checksum}/0/etc/hostname")


def test_the_same_image_and_seed_give_the_same_bytes(image: TinyImage, tmp_path: Path) -> None:
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    first = write(image, one)
    write(image, two)
    assert sha256(one) == sha256(two)
    second = write(image, other, replace(SMALL, seed="other"))
    assert first.root_uuid != second.root_uuid
    assert sha256(one) != sha256(other)


def test_qcow2_holds_the_same_disk(image: TinyImage, tmp_path: Path) -> None:
    raw, packed, again = tmp_path / "raw", tmp_path / "disk.qcow2", tmp_path / "again.qcow2"
    write(image, raw)
    write(image, packed, replace(SMALL, form="qcow2"))
    write(image, again, replace(SMALL, form="qcow2"))
    assert "No errors were found" in run("qemu-img", "check", packed)
    assert "identical" in run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, packed)
    assert sha256(packed) == sha256(again)


def test_a_default_size_leaves_room_for_upgrades(image: TinyImage, tmp_path: Path) -> None:
    summary = write(image, tmp_path / "disk", DiskOptions())
    root = summary.partitions[3]
    assert root.size > 1500 * MIB
    assert (tmp_path / "disk").stat().st_blocks * 512 < 64 * MIB


def test_a_target_is_replaced_as_a_whole(image: TinyImage, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.write_bytes(b"old")
    write(image, target)
    assert target.stat().st_size == 80 * MIB
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


@pytest.mark.parametrize("kind", ["file", "dirtree", "dirmeta", "commit"])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_what_the_store_lacks_stops_it_before_the_target(
    tmp_path: Path, kind: str, how: str
) -> None:
    image = tiny_image(tmp_path / "store")
    (tmp_path / "out").mkdir()
    target = tmp_path / "out/disk"
    write(image, target)
    objects = Objects(image.repository)
    path = _some_object(objects, image.commit, kind)
    if how == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
        path.unlink()
        path.write_bytes(data)
        for name, value in attributes.items():
            os.setxattr(path, name, value)
    error = refused(image, target)
    assert isinstance(error, StoreError)
    assert error.reason == f"object-{how}"


def _some_object(objects: Objects, commit: Sha256, kind: str) -> Path:
    found = objects.commit(commit)
    usr = objects.dirtree(found.tree).dirs["usr"]
    bin_tree = objects.dirtree(objects.dirtree(usr[0]).dirs["bin"][0])
    checksum = {
        "file": bin_tree.files["su"],
        "dirtree": usr[0],
        "dirmeta": usr[1],
        "commit": commit,
    }[kind]
    return Path(objects.path(checksum, kind))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (replace(SMALL, size=40 * MIB), "disk-too-small"),
        (replace(SMALL, esp_size=1 * MIB), "disk-too-small"),
        (replace(SMALL, boot_size=4 * MIB), "disk-too-small"),
        (replace(SMALL, filesystem="zfs"), "filesystem-unsupported"),
        (replace(SMALL, architecture="vax"), "unknown-architecture"),
    ],
)
def test_what_cannot_be_is_refused_first(
    image: TinyImage, tmp_path: Path, options: DiskOptions, reason: str
) -> None:
    (tmp_path / "disk").write_bytes(b"old")
    error = refused(image, tmp_path / "disk", options)
    assert isinstance(error, UsageError)
    assert error.reason == reason


def test_a_full_disk_leaves_nothing_behind(image: TinyImage, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30 * MIB, before[1]))
    try:
        error = refused(image, tmp_path / "disk")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(error, HostError)
    assert error.reason == "disk-full"
    write(image, tmp_path / "disk")


def test_a_directory_that_is_not_there_is_told(image: TinyImage, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        write(image, tmp_path / "nowhere/disk")
    assert caught.value.reason == "disk-unwritable"


def test_a_system_without_a_kernel_is_refused(tmp_path: Path) -> None:
    image = tiny_image(tmp_path / "store")
    store = image.store
    with store.tree_builder() as builder:
        builder.merge_commit(image.commit)
        builder.remove(f"usr/lib/modules/{KERNEL}/vmlinuz")
        bare = builder.commit("bare", timestamp=1)
    with pytest.raises(StoreError) as caught:
        write(replace(image, commit=bare.commit), tmp_path / "disk")
    assert caught.value.reason == "no-kernel"


def test_a_bigger_disk_is_left_to_the_first_start(image: TinyImage) -> None:
    made = Prepared(
        image.repository, image, assets=no_loader, options=DiskOptions(), whole=900 * 1024 * MIB
    )
    assert made.layout.root.size > 890 * 1024 * MIB
    assert made.root is not None
    assert made.root.geometry.blocks * 4096 < 4096 * MIB


def test_more_names_than_an_inode_has_become_copies(
    image: TinyImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committed, "_MOST_NAMES", 1)
    write(image, tmp_path / "disk")
    root = partition(tmp_path / "disk", "root", tmp_path / "root")
    check_ext4(root)
    deployed = f"ostree/deploy/debian/deploy/{image.commit}.0/usr/bin"
    one, two = (debugfs(root, f"stat {deployed}/{name}") for name in ("same", "same-again"))
    assert sorted("Links: 2" in text for text in (one, two)) == [False, True]
    assert "same content" in debugfs(root, f"cat {deployed}/same-again")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../etc/passwd", "n" * 256])
def test_names_that_lead_out_of_the_tree_are_damage(tmp_path: Path, name: str) -> None:
    image = tiny_image(tmp_path / "store")
    objects = Objects(image.repository)
    commit = objects.commit(image.commit)
    top = objects.dirtree(commit.tree)
    known = objects.dirtree(top.dirs["usr"][0])
    target = known.files or {"x": objects.dirtree(known.dirs["bin"][0]).files["su"]}
    evil = encode_dirtree({name: next(iter(target.values()))}, dict(known.dirs))
    tree = _written(image.repository, "dirtree", evil)
    root = encode_dirtree(dict(top.files), {**top.dirs, "usr": (tree, top.dirs["usr"][1])})
    data = encode_commit(_written(image.repository, "dirtree", root), commit.meta)
    hostile = replace(image, commit=_written(image.repository, "commit", data))
    with pytest.raises(StoreError) as caught:
        write(hostile, tmp_path / "disk")
    assert caught.value.reason == "object-damaged"
    assert not (tmp_path / "disk").exists()


def _written(repository: Path, kind: str, data: bytes) -> Sha256:
    checksum = digest(data)
    path = Path(Objects(repository).path(checksum, kind))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return checksum
