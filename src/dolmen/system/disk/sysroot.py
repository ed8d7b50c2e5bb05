"""What `ostree admin init-fs`, `os-init` and `deploy` would leave on a disk, as nodes.

The root file system holds the repository and one deployment of hard links to its objects; /boot is
a file system of its own with the kernel and the boot entry. A test compares both, path by path,
with what libostree itself makes.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store.objects import Objects
from dolmen.support.errors import StoreError
from dolmen.system.disk.committed import Committed
from dolmen.system.disk.nodes import IMMUTABLE, Node, directory, file, link, place

#: The only operating system on the disk, in libostree's sense (a "stateroot").
STATEROOT = "debian"
#: Of the first deployment: /ostree/boot.1, /boot/loader.1.
BOOT_VERSION = 1
_CONFIG = "[core]\nrepo_version=1\nmode=bare\n"
#: What init-fs makes at the top.
_TOP = {"boot": 0o755, "dev": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700}
_TOP |= {"run": 0o755, "sys": 0o755, "tmp": 0o1777}


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel that a commit boots: its release, libostree's checksum of it, its two files."""

    release: str
    checksum: str
    vmlinuz: Node
    initramfs: Node

    @property
    def place(self) -> str:
        """Its directory below /boot."""
        return f"ostree/{STATEROOT}-{self.checksum}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A boot entry as the Boot Loader Specification has it."""

    title: str
    version: int
    linux: str
    initrd: str
    options: str

    def text(self) -> str:
        """The file in loader/entries, as libostree writes it."""
        return (
            f"title {self.title}\nversion {self.version}\noptions {self.options}\n"
            f"linux {self.linux}\ninitrd {self.initrd}\n"
        )


@dataclass(frozen=True, slots=True)
class Details:
    """What a commit says of itself: seconds since 1970, and its version ("" where it has none)."""

    timestamp: int
    version: str


def details(repository: Path, commit: Sha256) -> Details:
    """Read them; raises StoreError ("object-missing")."""
    from dolmen.store.commits import read_commit

    metadata, timestamp = read_commit(Objects(repository).read(commit, "commit"))
    return Details(timestamp, str(metadata.get("version", "")))


def kernel(commit: Committed) -> Kernel:
    """Find the one kernel of a commit; raises StoreError ("no-kernel")."""
    try:
        modules = commit.root.child("usr/lib/modules")
    except KeyError:
        modules = directory()
    found = []
    for name, node in sorted(modules.entries.items()):
        image = node.entries.get(b"vmlinuz")
        initramfs = node.entries.get(b"initramfs.img") or node.entries.get(b"initramfs")
        if image is not None and initramfs is not None:
            found.append((name.decode(), image, initramfs))
    if len(found) != 1:
        raise StoreError(
            f"the system has {len(found)} kernels with an initramfs in /usr/lib/modules, not one",
            reason="no-kernel",
            hint="dolmen system lint",
        )
    release, image, initramfs = found[0]
    # `get_kernel_from_tree_usrlib_modules` of ostree-sysroot-deploy.c.
    checksum = hashlib.sha256()
    for node in (image, initramfs):
        for chunk in node.chunks():
            checksum.update(chunk)
    return Kernel(release, checksum.hexdigest(), image, initramfs)


def entry(commit: Committed, found: Kernel, arguments: Sequence[str], version: str) -> Entry:
    """The boot entry of the deployment; `version`: the commit's, "" where it says none."""
    name = _pretty_name(commit)
    title = f"{name} {version}" if version and version not in name else name
    below = f"/{found.place}"
    target = f"ostree=/ostree/boot.{BOOT_VERSION}/{STATEROOT}/{found.checksum}/0"
    return Entry(
        title=f"{title} (ostree:0)",
        version=1,
        linux=f"{below}/vmlinuz-{found.release}",
        initrd=f"{below}/initramfs-{found.release}.img",
        options=" ".join((*arguments, target)),
    )


def declared_arguments(commit: Committed) -> tuple[str, ...]:
    """The kernel arguments that the image itself asks for."""
    try:
        text = b"".join(commit.root.child("usr/lib/dolmen/kargs").chunks())
    except KeyError:
        return ()
    return tuple(text.decode(errors="replace").split())


def root_tree(
    commit: Committed,
    found: Kernel,
    *,
    refspec: str,
    time: int,
    config: str = "",
    etc: Mapping[str, Node],
) -> Node:
    """The root file system; `etc`: files of the machine that go over the image's /etc."""
    root = directory(mtime=time)
    for name, mode in _TOP.items():
        root.entries[name.encode()] = directory(mode, mtime=time)
    name = f"{commit.commit}.0"
    state = f"ostree/deploy/{STATEROOT}"
    deployment = commit.root
    deployment.flags = IMMUTABLE
    deployment.entries[b"etc"] = _configuration(commit, time, etc)
    place(root, f"{state}/deploy/{name}", deployment)
    origin = f"[origin]\nrefspec={refspec}\n"
    place(root, f"{state}/deploy/{name}.origin", file(origin.encode(), mtime=time))
    for path, mode in (("tmp", 0o1777), ("lib", 0o755), ("log", 0o755)):
        place(root, f"{state}/var/{path}", directory(mode, mtime=time))
    place(root, f"{state}/var/run", link("../run", mtime=time))
    place(root, f"{state}/var/lock", link("../run/lock", mtime=time))
    # libostree's note that nothing is left to relabel; without it each deployment says it does.
    place(root, f"{state}/var/.ostree-selabeled", file(b"", mtime=time))
    boots = f"ostree/boot.{BOOT_VERSION}"
    place(root, boots, link(f"boot.{BOOT_VERSION}.1", mtime=time))
    place(
        root,
        f"{boots}.1/{STATEROOT}/{found.checksum}/0",
        link(f"../../../deploy/{STATEROOT}/deploy/{name}", mtime=time),
    )
    _repository(root, commit, refspec=refspec, time=time, config=config)
    return root


def boot_tree(found: Kernel, boot_entry: Entry, *, menu: str, time: int) -> Node:
    """The file system of /boot; the boot loader's own files are the caller's to add."""
    root = directory(mtime=time)
    root.entries[b"boot"] = link(".", mtime=time)
    root.entries[b"loader"] = link(f"loader.{BOOT_VERSION}", mtime=time)
    loader = f"loader.{BOOT_VERSION}"
    text = boot_entry.text().encode()
    place(root, f"{loader}/entries/ostree-1-{STATEROOT}.conf", file(text, mtime=time))
    if menu:
        place(root, f"{loader}/grub.cfg", file(menu.encode(), mtime=time))
    for path, node in ((boot_entry.linux, found.vmlinuz), (boot_entry.initrd, found.initramfs)):
        # /boot is another file system: copies, with the owner and mode that the tree gives them.
        copy = Node(node.mode, node.uid, node.gid, time, node.xattrs, node.size, node.source)
        place(root, path.lstrip("/"), copy)
    return root


def _configuration(commit: Committed, time: int, own: Mapping[str, Node]) -> Node:
    """/etc: a copy of /usr/etc that may be edited, never links to its objects."""
    try:
        etc = commit.copy("usr/etc", time)
    except KeyError:
        raise StoreError(
            "the system has no /usr/etc", reason="no-system", hint="dolmen system lint"
        ) from None
    for path, node in own.items():
        place(etc, path, node)
    return etc


def _repository(root: Node, commit: Committed, *, refspec: str, time: int, config: str) -> None:
    repository = place(root, "ostree/repo", directory(mtime=time))
    place(repository, "config", file((_CONFIG + config).encode(), mtime=time))
    place(repository, ".lock", file(b"", 0o640, mtime=time))
    for path in ("extensions", "state", "tmp/cache", "refs/mirrors", "refs/remotes", "refs/heads"):
        place(repository, path, directory(mtime=time))
    name = f"{commit.commit}\n".encode()
    remote, _, ref = refspec.rpartition(":")
    below = f"refs/remotes/{remote}" if remote else "refs/heads"
    place(repository, f"{below}/{ref}", file(name, mtime=time))
    place(repository, f"refs/heads/ostree/{BOOT_VERSION}/1/0", file(name, mtime=time))
    objects = place(repository, "objects", directory(mtime=time))
    for (checksum, kind), node in sorted(commit.objects.items()):
        shelf = checksum[:2].encode()
        if shelf not in objects.entries:
            objects.entries[shelf] = directory(mtime=time)
        objects.entries[shelf].entries[f"{checksum[2:]}.{kind}".encode()] = node


def _pretty_name(commit: Committed) -> str:
    for path in ("usr/etc/os-release", "usr/lib/os-release"):
        try:
            node = commit.root.child(path)
        except KeyError:
            continue
        if node.is_link:
            continue
        for line in b"".join(node.chunks()).decode(errors="replace").splitlines():
            if line.startswith("PRETTY_NAME="):
                parts = shlex.split(line.partition("=")[2])
                return parts[0] if parts else "Debian"
    return "Debian"
