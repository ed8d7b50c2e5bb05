"""Rules about what boots: kernel, initramfs, boot loader, and the room they need."""

from __future__ import annotations

import gzip
import re
import tomllib
import zlib
from collections.abc import Iterator

from dolmen.system.lint.rule import rule
from dolmen.system.lint.tree import Tree
from dolmen.system.tree.database import ADMIN
from dolmen.system.tree.declared import KERNEL_ARGUMENTS
from dolmen.system.tree.kernel import MODULES

#: What is taken for /boot where the manifest names no size, bytes; and what else lies there.
_BOOT_SIZE, _REST = 512 << 20, 16 << 20
_OWN = ("root=", "ostree=", "rw", "ro", "BOOT_IMAGE=", "rd.ostree=")
#: Their scripts install a boot loader onto whatever disk they find.
_HAZARDS = ("grub-pc", "grub-efi-amd64", "grub-efi-arm64", "grub-efi", "os-prober", "lilo")
_ZSTD, _GZIP, _CPIO = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"0707"


def kernels(tree: Tree) -> list[str]:
    """Versions of which there are modules, or an image."""
    return [
        name
        for name in tree.names(MODULES)
        if any(tree.kind(f"{MODULES}/{name}/{part}") for part in ("kernel", "vmlinuz"))
    ]


@rule(8, "kernel", "exactly one kernel, where libostree looks for it, and named in the commit")
def kernel(tree: Tree) -> Iterator[str]:
    """libostree deploys /usr/lib/modules/KVER/vmlinuz, and refuses two."""
    found = kernels(tree)
    if len(found) != 1:
        yield f"there are {len(found)} kernels: {', '.join(found) or 'none'}"
    for name in found:
        path = f"{MODULES}/{name}/vmlinuz"
        if tree.kind(path) != "f" or not tree.content(path):
            yield f"/{path} is no file"
        if tree.metadata.get("ostree.linux") != name:
            yield f"the commit's ostree.linux is not {name}"
    if tree.metadata.get("ostree.bootable") is not True:
        yield "the commit is not marked as bootable"
    for name in tree.names("boot"):
        yield f"/boot/{name} is in the commit"
    for name in ("vmlinuz", "initrd.img", "vmlinuz.old", "initrd.img.old"):
        if tree.kind(name):
            yield f"/{name} is in the commit"


@rule(9, "initramfs", "the initramfs lies beside its kernel, and knows how to enter a deployment")
def initramfs(tree: Tree) -> Iterator[str]:
    """Without ostree-prepare-root the machine starts into nothing."""
    for name in kernels(tree):
        path = f"{MODULES}/{name}/initramfs.img"
        content = tree.content(path)
        if not content:
            yield f"/{path} is no file"
            continue
        unpacked = _unpacked(content)
        if not unpacked.startswith(_CPIO):
            yield f"/{path} is no initramfs"
        elif b"ostree-prepare-root" not in unpacked:
            yield f"/{path} is made without dracut's ostree module"
        elif f"lib/modules/{name}/".encode() not in unpacked:
            yield f"/{path} has no modules of {name}"


@rule(10, "addresses", "the declaration leaves root, deployment and mounts to the boot entry")
def addresses(tree: Tree) -> Iterator[str]:
    """/boot is a file system of its own: entries name files from there."""
    for word in tree.text(KERNEL_ARGUMENTS).split():
        if word in _OWN or word.startswith(tuple(w for w in _OWN if w.endswith("="))):
            yield f"the kernel argument {word} is the boot entry's own"
    if tree.kind(KERNEL_ARGUMENTS) != "f":
        yield f"/{KERNEL_ARGUMENTS} is missing"
    for directory in ("usr/lib/ostree", "usr/etc/ostree"):
        for name in tree.names(directory):
            if "bootprefix" in tree.text(f"{directory}/{name}"):
                yield f"/{directory}/{name} sets bootprefix"


@rule(11, "boot-loader", "the menu is libostree's generated one, and no package writes another")
def boot_loader(tree: Tree) -> Iterator[str]:
    """grub-mkconfig is not atomic, and looks at other disks."""
    entry = tree.entries.get("usr/lib/dolmen/boot-menu")
    if entry is None or entry.kind != "f" or not entry.mode & 0o100:
        yield "/usr/lib/dolmen/boot-menu is no program"
    drop_in = "usr/lib/systemd/system/ostree-finalize-staged.service.d"
    texts = [tree.text(f"{drop_in}/{name}") for name in tree.names(drop_in)]
    if not any("OSTREE_GRUB2_EXEC=" in text for text in texts):
        yield f"no file in /{drop_in} sets OSTREE_GRUB2_EXEC"
    installed = set(re.findall(r"^Package: (.+)$", tree.text(f"{ADMIN}/status"), re.M))
    for name in sorted(installed & set(_HAZARDS)):
        yield f"the package {name} would install a boot loader by itself"


@rule(12, "boot-space", "two kernels with their initramfs fit into /boot")
def boot_space(tree: Tree) -> Iterator[str]:
    """During an upgrade the old and the new are both there."""
    try:
        manifest = tomllib.loads(tree.text("usr/share/dolmen/dolmen.toml"))
    except tomllib.TOMLDecodeError:
        manifest = {}
    said = manifest.get("system", {}).get("disk", {}).get("boot-size", "")
    size = _BOOT_SIZE
    if re.fullmatch(r"[0-9]+[MGT]", said):
        size = int(said[:-1]) << {"M": 20, "G": 30, "T": 40}[said[-1]]
    for name in kernels(tree):
        files = ("vmlinuz", "initramfs.img")
        need = 2 * sum(len(tree.content(f"{MODULES}/{name}/{file}")) for file in files) + _REST
        if need > size:
            yield f"two of {name} need {need >> 20} MiB, /boot has {size >> 20} MiB"


def _unpacked(content: bytes) -> bytes:
    """The cpio archive; as much as can be read of it."""
    try:
        if content.startswith(_GZIP):
            return gzip.decompress(content)
        if content.startswith(_ZSTD):
            from dolmen.store.zstandard import Decoder

            decoder, pieces = Decoder(), []
            data = content
            while not decoder.eof:
                piece = decoder.decompress(data, 1 << 22)
                pieces.append(piece)
                data = b""
                if decoder.needs_input and not piece:
                    break
            return b"".join(pieces)
    except (OSError, EOFError, ValueError, zlib.error):
        return b""
    return content
