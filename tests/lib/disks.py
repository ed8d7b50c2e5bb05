"""File systems written by us, looked at by the tools of those who know the formats."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.system.boot import BootAssets
from dolmen.system.disk.ext4.geometry import Geometry
from dolmen.system.disk.ext4.superblock import Identity
from dolmen.system.disk.ext4.writing import FileSystem
from dolmen.system.disk.media import Sparse
from dolmen.system.disk.nodes import Node

MIB = 1 << 20
IDENTITY = Identity(bytes(range(16)), bytes(range(16, 32)), "test", 1_700_000_000)
TIMEOUT = 60


def tool(name: str) -> str:
    """A program of another package; the test is skipped where it is missing."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*argv: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    """Run a tool; its standard output. Anything but these exit codes fails the test."""
    program = tool(str(argv[0]))
    done = subprocess.run(
        [program, *map(str, argv[1:])], capture_output=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode in ok, (argv, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode(errors="surrogateescape")


def write_ext4(
    path: Path, root: Node, size: int, *, geometry: Geometry | None = None, journal: int = 4 * MIB
) -> FileSystem:
    """Write a tree to a file; returns what was planned."""
    made = FileSystem(root, size, IDENTITY, journal=journal, geometry=geometry)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        made.write(Sparse(fd, size))
    finally:
        os.close(fd)
    return made


def check_ext4(path: Path) -> None:
    """Have e2fsck look at everything; it must have nothing to say."""
    run("e2fsck", "-f", "-n", path)


def debugfs(path: Path, *commands: str) -> str:
    """What debugfs answers."""
    argv = [tool("debugfs"), "-f", "-", str(path)]
    done = subprocess.run(
        argv, input="\n".join(commands), capture_output=True, timeout=TIMEOUT, text=True, check=True
    )
    return done.stdout


def regular(root: Node) -> Iterator[Node]:
    """The regular files of a numbered tree."""
    from dolmen.system.disk.nodes import walk

    yield from (node for node in walk(root) if stat.S_ISREG(node.mode))


@dataclass(frozen=True, slots=True)
class TinyImage:
    """A system image of a few files, in a store of its own."""

    store: Store
    key: Sha256
    commit: Sha256

    @property
    def repository(self) -> Path:
        """The store's repository."""
        return self.store.path / "repo"


CAPABILITY = ("security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
KERNEL = "6.1.0-99-test"


def tiny_image(
    directory: Path, *, more: int = 0, files: Mapping[str, bytes] = MappingProxyType({})
) -> TinyImage:
    """Commit what a system image has, small: owners, special bits, links, a kernel, /usr/etc.

    `more`: bytes of a further file; `files`: those of a package, by their path.
    """
    store = Store.open(directory)
    modules = f"usr/lib/modules/{KERNEL}"
    with store.tree_builder() as builder:
        for name in ("boot", "dev", "proc", "run", "sys", "sysroot", "var"):
            builder.add_directory(name)
        builder.add_directory("tmp", 0o1777)
        for name in ("bin", "lib", "sbin"):
            builder.add_symlink(name, f"usr/{name}")
        builder.add_symlink("ostree", "sysroot/ostree")
        builder.add_file(f"{modules}/vmlinuz", b"kernel" * 5000, mode=0o644)
        builder.add_file(f"{modules}/initramfs.img", b"initramfs" * 9000, mode=0o600)
        builder.add_file("usr/etc/hostname", b"tiny\n")
        builder.add_file("usr/etc/shadow", b"root:*:1:\n", mode=0o640)
        builder.add_symlink("usr/etc/mtab", "../proc/self/mounts")
        builder.add_file("usr/etc/empty", b"")
        builder.add_file("usr/etc/cron.d/job", b"# job\n")
        builder.add_file("usr/bin/su", b"su" * 3000, mode=0o755)
        builder.add_file("usr/bin/ping", b"ping" * 100, mode=0o755)
        builder.add_file("usr/bin/same", b"same content", mode=0o755)
        builder.add_file("usr/bin/same-again", b"same content", mode=0o755)
        builder.add_file("usr/bin/empty", b"", mode=0o755)
        builder.add_symlink("usr/bin/long", "x" * 200)
        builder.add_directory("usr/share/mail")
        builder.add_file("usr/lib/os-release", b'NAME=Debian\nPRETTY_NAME="Tiny 12"\n')
        builder.add_file("usr/lib/dolmen/kargs", b"quiet console=ttyS0\n")
        if more:
            builder.add_file("usr/share/large", bytes(range(256)) * (more // 256))
        for path, content in files.items():
            builder.add_file(path, content)
        if files:
            text = "".join(f"/{path}\n" for path in files)
            builder.add_file("usr/lib/sysimage/dpkg/info/package.list", text.encode())
        assert builder.give("usr/etc/shadow", 0o640, 0, 42)
        assert builder.give("usr/bin/su", 0o4755, 0, 0)
        assert builder.give("usr/bin/ping", 0o755, 0, 0, (CAPABILITY,))
        assert builder.give("usr/share/mail", 0o2775, 0, 8)
        image = builder.commit(
            "system/tiny",
            metadata={"ostree.bootable": True, "ostree.linux": KERNEL, "version": "12.7"},
            timestamp=1_700_000_000,
        )
    return TinyImage(store, Sha256("ab" * 32), image.commit)


def no_loader(boot_uuid: str, esp_uuid: str) -> BootAssets:
    """A boot loader that boots nothing, in the right places."""
    boot_img = bytes(510) + b"\x55\xaa"
    return BootAssets(
        boot_img,
        b"core" * 500,
        {"EFI/BOOT/BOOTX64.EFI": b"MZ" + boot_uuid.encode() * 300},
        {"grub/grub.cfg": b"# stub\n", "grub/grubenv": b"#" * 1024},
        (f"dolmen.boot=UUID={boot_uuid}", f"dolmen.esp=UUID={esp_uuid}"),
    )


def partition(disk: Path, name: str, to: Path) -> Path:
    """Copy a partition out of a raw disk, by its name."""
    import json

    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    found = next(part for part in table["partitions"] if part["name"] == name)
    with disk.open("rb") as source, to.open("wb") as copy:
        source.seek(found["start"] * 512)
        left = found["size"] * 512
        copy.truncate(left)
        place = 0
        while place < left:
            data = source.read(min(MIB, left - place))
            if data.count(0) != len(data):
                copy.seek(place)
                copy.write(data)
            place += len(data)
    return to
