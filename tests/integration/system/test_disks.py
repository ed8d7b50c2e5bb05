"""Disks under the kernel's own file systems, beside what libostree makes; as root."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen.support.errors import HostError, StoreError, UsageError
from dolmen.system.disk.layout import DiskOptions
from dolmen.system.disk.preparing import Prepared
from dolmen.system.disk.survey import refuse_used, survey
from dolmen.system.disk.writing import write_disk
from tests.lib.disks import MIB, TinyImage, no_loader, partition, run, tiny_image, tool
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.root

SMALL = DiskOptions(size=96 * MIB, boot_size=16 * MIB, esp_size=8 * MIB)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> TinyImage:
    return tiny_image(tmp_path_factory.mktemp("store") / "store")


@contextlib.contextmanager
def mounted(source: Path, place: Path, *options: str) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    argv = ["mount", "-o", ",".join(("loop", *options)), str(source), str(place)]
    if source.is_block_device():
        argv = ["mount", str(source), str(place)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"this host mounts no file: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=60)


@contextlib.contextmanager
def loop_device(path: Path, size: int) -> Iterator[Path]:
    """A block device that is a file; a device that a test holds cannot be made everywhere."""
    with path.open("wb") as stream:
        stream.truncate(size)
    argv = ["losetup", "--find", "--show", "--partscan", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"this host has no loop devices: {done.stderr.strip()}")
    device = Path(done.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", str(device)], check=True, timeout=60)


#: What two sysroots may differ in: the time of making is not the tree's.
def described(top: Path, *, skip: frozenset[str]) -> dict[str, tuple[object, ...]]:
    """Every path with kind, owner, mode, names, size, attributes, and what it says or leads to."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(top):
        here = Path(directory)
        for name in (*names, *files):
            path = here / name
            relative = str(path.relative_to(top))
            if relative.split("/")[0] in skip:
                continue
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            said: object = None
            if kind == stat.S_IFLNK:
                said = os.readlink(path)
            elif kind == stat.S_IFREG:
                said = path.read_bytes()
            links = status.st_nlink
            # On one file system /boot has links to the kernel, and a pull links to its source.
            if "lib/modules/" in relative or "repo/objects/" in relative:
                links = 0
            found[relative] = (
                kind,
                stat.S_IMODE(status.st_mode),
                status.st_uid,
                status.st_gid,
                links,
                said,
                tuple(
                    (attribute, os.getxattr(path, attribute, follow_symlinks=False))
                    for attribute in sorted(os.listxattr(path, follow_symlinks=False))
                ),
            )
    return found


def groups(top: Path) -> set[frozenset[str]]:
    """Which paths are one file."""
    found: dict[int, set[str]] = {}
    for directory, _, files in os.walk(top):
        for name in files:
            path = Path(directory) / name
            status = path.lstat()
            if status.st_nlink > 1 and "lib/modules/" not in str(path):
                found.setdefault(status.st_ino, set()).add(str(path.relative_to(top)))
    return {frozenset(paths) for paths in found.values() if len(paths) > 1}


def libostree_sysroot(image: TinyImage, top: Path, arguments: list[str]) -> Path:
    """What libostree makes of the same commit in a directory."""
    ref = f"system/{image.key}"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}

    def ostree(*words: str) -> None:
        done = subprocess.run(
            ["ostree", *words], capture_output=True, timeout=60, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr

    ostree(f"--repo={image.repository}", "refs", f"--create={ref}", "--force", str(image.commit))
    top.mkdir()
    ostree("admin", "init-fs", str(top))
    ostree("admin", f"--sysroot={top}", "os-init", "debian")
    ostree(f"--repo={top}/ostree/repo", "pull-local", str(image.repository), ref)
    kargs = [f"--karg={argument}" for argument in arguments]
    ostree("admin", f"--sysroot={top}", "deploy", "--os=debian", "--no-merge", *kargs, ref)
    return top


def test_it_is_what_libostree_itself_deploys(image: TinyImage, tmp_path: Path) -> None:
    write_disk(image.repository, image, tmp_path / "disk", assets=no_loader, options=SMALL)
    root = partition(tmp_path / "disk", "root", tmp_path / "root.img")
    boot = partition(tmp_path / "disk", "boot", tmp_path / "boot.img")
    with (
        mounted(root, tmp_path / "root", "ro") as ours,
        mounted(boot, tmp_path / "boot", "ro") as our_boot,
    ):
        entry = (our_boot / "loader/entries/ostree-1-debian.conf").read_text()
        (options,) = (x[8:] for x in entry.splitlines() if x.startswith("options "))
        arguments = [word for word in options.split() if not word.startswith("ostree=")]
        theirs = libostree_sysroot(image, tmp_path / "theirs", arguments)
        try:
            skip = frozenset({"lost+found", "boot"})
            assert described(ours, skip=skip) == described(theirs, skip=skip)
            assert groups(ours / "ostree") == groups(theirs / "ostree")
            name = f"ostree/deploy/debian/deploy/{image.commit}.0"
            flags = [
                run("lsattr", "-d", top / name).split()[0].replace("e", "-")
                for top in (ours, theirs)
            ]
            assert "i" in flags[0]
            assert flags[0] == flags[1]
            for path in ("usr/bin/su", "usr", "usr/etc/hostname", "var"):
                assert (ours / name / path).stat().st_mtime == 0
                assert (theirs / name / path).stat().st_mtime == 0
            mine, known = described(our_boot, skip=skip), described(theirs / "boot", skip=skip)
            # The boot loader's own files are not libostree's.
            for path in ("grub", "grub/grub.cfg", "grub/grubenv", "loader.1/grub.cfg"):
                mine.pop(path)
            # libostree links what is on one file system.
            assert {path: (x[:4], x[5:]) for path, x in mine.items() if path != "boot"} == {
                path: (x[:4], x[5:]) for path, x in known.items() if path != "boot"
            }
        finally:
            for top in theirs.glob("ostree/deploy/debian/deploy/*.0"):
                run("chattr", "-i", top)


def test_libostree_reads_it(image: TinyImage, tmp_path: Path) -> None:
    write_disk(image.repository, image, tmp_path / "disk", assets=no_loader, options=SMALL)
    root = partition(tmp_path / "disk", "root", tmp_path / "root.img")
    boot = partition(tmp_path / "disk", "boot", tmp_path / "boot.img")
    with mounted(root, tmp_path / "root") as top, mounted(boot, top / "boot"):
        assert "no errors found" in run("ostree", f"--repo={top}/ostree/repo", "fsck")
        shown = run("ostree", "admin", f"--sysroot={top}", "status")
        assert str(image.commit) in shown
        # A second deployment: what is there is good enough to go on from. The menu is not its job.
        run("ostree", f"--repo={top}/ostree/repo", "config", "set", "sysroot.bootloader", "none")
        ref = f"system/{image.key}"
        run("ostree", "admin", f"--sysroot={top}", "deploy", "--os=debian", ref)
        assert run("ostree", "admin", f"--sysroot={top}", "status").count(str(image.commit)) == 2
    for path in (root, boot):
        run("e2fsck", "-f", "-n", path)


def test_a_device_gets_the_disk_and_gives_it_back(image: TinyImage, tmp_path: Path) -> None:
    with loop_device(tmp_path / "device", 700 * MIB) as device:
        # What was there before must not shine through.
        with device.open("r+b") as stream:
            for _ in range(64):
                stream.write(b"\xa5" * MIB)
        options = DiskOptions(boot_size=16 * MIB, esp_size=8 * MIB)
        found = survey(device)
        refuse_used(found)
        assert found.size == 700 * MIB
        summary = write_disk(image.repository, image, device, assets=no_loader, options=options)
        assert summary.form == "device"
        assert "No errors detected" in run("sfdisk", "--verify", device)
        run("fsck.vfat", "-n", partition(device, "esp", tmp_path / "esp"))
        for name in ("boot", "root"):
            run("e2fsck", "-f", "-n", partition(device, name, tmp_path / name))
        with mounted(partition(device, "root", tmp_path / "root.img"), tmp_path / "m") as top:
            assert (top / "ostree/repo/config").read_text().startswith("[core]")


def test_marks_of_what_was_there_do_not_shine_through(image: TinyImage, tmp_path: Path) -> None:
    """blkid is asked by udev; where it sees two file systems it names none, and nothing starts."""
    options = DiskOptions(boot_size=16 * MIB, esp_size=8 * MIB)
    with loop_device(tmp_path / "device", 700 * MIB) as device:
        made = Prepared(image.repository, image, assets=no_loader, options=options, whole=700 * MIB)
        root = made.layout.root
        # A RAID of version 1.0 has its superblock 8 KiB before the end, ZFS labels lie there, too.
        magic = (0xA92B4EFC).to_bytes(4, "little") + (1).to_bytes(4, "little")
        with device.open("r+b") as stream:
            stream.seek(root.start + root.size - 8192)
            stream.write(magic)
        write_disk(image.repository, image, device, assets=no_loader, options=options)
        with device.open("rb") as stream:
            stream.seek(root.start + root.size - MIB)
            assert not any(stream.read(MIB))
        part = partition(device, "root", tmp_path / "root.img")
        assert 'TYPE="ext4"' in run("blkid", "-p", part)


def test_a_device_in_use_is_refused(image: TinyImage, tmp_path: Path) -> None:
    with loop_device(tmp_path / "device", 300 * MIB) as device:
        run("mkfs.ext4", "-q", device)
        options = DiskOptions(boot_size=16 * MIB, esp_size=8 * MIB)
        with mounted(device, tmp_path / "mounted"):
            found = survey(device)
            assert str(tmp_path / "mounted") in str(found.in_use)
            with pytest.raises(HostError) as caught:
                refuse_used(found)
            assert caught.value.reason == "disk-in-use"
            with pytest.raises(HostError) as caught:
                write_disk(image.repository, image, device, assets=no_loader, options=options)
            assert caught.value.reason == "disk-in-use"
        assert (tmp_path / "device").stat().st_size == 300 * MIB
        run("e2fsck", "-f", "-n", device)
        refuse_used(survey(device))


def test_a_device_keeps_what_it_has_when_the_image_is_damaged(tmp_path: Path) -> None:
    image = tiny_image(tmp_path / "store")
    for path in (image.repository / "objects").glob("*/*.file"):
        if path.stat().st_size == 6000:
            attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
            path.unlink()
            path.write_bytes(b"so" * 3000)
            for name, value in attributes.items():
                os.setxattr(path, name, value)
    with loop_device(tmp_path / "device", 300 * MIB) as device:
        run("mkfs.ext4", "-q", device)
        with pytest.raises(StoreError) as caught:
            write_disk(
                image.repository,
                image,
                device,
                assets=no_loader,
                options=DiskOptions(boot_size=16 * MIB, esp_size=8 * MIB),
            )
        assert caught.value.reason == "object-damaged"
        run("e2fsck", "-f", "-n", device)


def test_what_is_no_disk_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", Path("/dev/null")):
        with pytest.raises(UsageError) as caught:
            survey(path)
        assert caught.value.reason == "no-disk"


def test_a_full_file_system_leaves_the_old_image(image: TinyImage, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("this host mounts no tmpfs")
    try:
        (small / "disk").write_bytes(b"old")
        with pytest.raises(HostError) as caught:
            write_disk(image.repository, image, small / "disk", assets=no_loader, options=SMALL)
        assert caught.value.reason == "disk-full"
        assert [path.name for path in small.iterdir()] == ["disk"]
        assert (small / "disk").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", str(small)], check=True, timeout=60)


@pytest.mark.parametrize("form", ["raw", "qcow2"])
@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_other_file_systems_hold_the_same_tree(
    image: TinyImage, tmp_path: Path, kind: str, form: str
) -> None:
    tool(f"mkfs.{kind}")
    if kind not in Path("/proc/filesystems").read_text().split():
        pytest.skip(f"this host's kernel has no {kind}")
    options = DiskOptions(
        size=500 * MIB, boot_size=16 * MIB, esp_size=8 * MIB, filesystem=kind, form=form
    )
    disk = tmp_path / "disk"
    summary = write_disk(image.repository, image, disk, assets=no_loader, options=options)
    if form == "qcow2":
        run("qemu-img", "check", disk)
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, tmp_path / "raw")
        disk = tmp_path / "raw"
    assert "No errors detected" in run("sfdisk", "--verify", disk)
    root = partition(disk, "root", tmp_path / "root.img")
    assert summary.root_uuid in run("blkid", "-p", root)
    if kind == "btrfs":
        run("btrfs", "check", root)
    else:
        run("xfs_repair", "-n", root)
    plain = replace(options, size=96 * MIB, filesystem="ext4", form="raw")
    write_disk(image.repository, image, tmp_path / "plain", assets=no_loader, options=plain)
    known = partition(tmp_path / "plain", "root", tmp_path / "known.img")
    skip = frozenset({"lost+found"})
    with mounted(root, tmp_path / "one", "ro") as ours, mounted(known, tmp_path / "two") as same:
        mine, wanted = (described(top, skip=skip) for top in (ours, same))
        # Directories count their names in one file system and not in the other; UUIDs are alike.
        for found in (mine, wanted):
            for path, values in found.items():
                if values[0] == stat.S_IFDIR:
                    found[path] = (*values[:4], 0, *values[5:])
        assert mine == wanted
        assert groups(ours / "ostree") == groups(same / "ostree")


def test_other_file_systems_are_for_root(image: TinyImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError) as caught:
        write_disk(
            image.repository,
            image,
            Path("/nowhere/disk"),
            assets=no_loader,
            options=replace(SMALL, filesystem="btrfs"),
        )
    assert caught.value.reason == "needs-root"


_AS_USER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
sys.dont_write_bytecode = True
from types import SimpleNamespace
from dolmen.system.boot import BootAssets
from dolmen.system.disk.layout import DiskOptions
from dolmen.system.disk.writing import write_disk
repository, commit, key, target = sys.argv[2:]
write_disk(
    Path(repository),
    SimpleNamespace(key=key, commit=commit),
    Path(target),
    assets=lambda boot, esp: BootAssets(b"", b"", {"EFI/BOOT/BOOTX64.EFI": b"MZ"}, {}),
    options=DiskOptions(size=96 << 20, boot_size=16 << 20, esp_size=8 << 20),
)
"""


def test_an_ordinary_user_writes_the_same_bytes(
    ordinary_user: OrdinaryUser, installed_source: Path, public_directory: Path, tmp_path: Path
) -> None:
    image = tiny_image(public_directory / "image")
    for path in (public_directory / "image").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o055)
    (public_directory / "image").chmod(0o755)
    theirs, ours = ordinary_user.directory() / "disk", tmp_path / "disk"
    argv = ["/usr/bin/python3", "-c", _AS_USER, str(installed_source), str(image.repository)]
    argv += [str(image.commit), str(image.key)]
    done = ordinary_user.run([*argv, str(theirs)])
    assert done.ok, done.stderr.decode()
    assert theirs.stat().st_uid == ordinary_user.uid
    subprocess.run([*argv, str(ours)], check=True, timeout=60)
    assert theirs.read_bytes() == ours.read_bytes()


def test_a_kill_leaves_no_file(image: TinyImage, installed_source: Path, tmp_path: Path) -> None:
    """Cut short at any moment, there is the old file and nothing else."""
    target = tmp_path / "disk"
    target.write_bytes(b"old")
    argv = ["/usr/bin/python3", "-c", _AS_USER, str(installed_source), str(image.repository)]
    argv += [str(image.commit), str(image.key), str(target)]
    killed = 0
    for delay in (0.05, 0.15, 0.3, 0.45, 0.6):
        child = subprocess.Popen(argv)
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(60)
            killed += 1
        assert [path.name for path in tmp_path.iterdir()] == ["disk"]
        assert target.stat().st_size in (3, 96 * MIB)
    assert killed
    subprocess.run(argv, check=True, timeout=60)
    assert target.stat().st_size == 96 * MIB


def test_a_cut_while_a_device_is_written_leaves_no_half_of_a_disk(
    image: TinyImage, installed_source: Path, tmp_path: Path
) -> None:
    """Either there is no partition table, or all that it speaks of is whole."""
    argv = ["/usr/bin/python3", "-c", _AS_USER, str(installed_source), str(image.repository)]
    cut = whole = 0
    with loop_device(tmp_path / "device", 96 * MIB) as device:
        command = [*argv, str(image.commit), str(image.key), str(device)]
        for delay in (60.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8):
            child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            try:
                child.wait(delay)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(60)
            if b"EFI PART" not in device.read_bytes()[: 64 << 10]:
                cut += 1
                continue
            whole += 1
            assert "No errors detected" in run("sfdisk", "--verify", device)
            for name in ("boot", "root"):
                run("e2fsck", "-f", "-n", partition(device, name, tmp_path / name))
    assert whole
