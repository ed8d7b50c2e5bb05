"""A generic initramfs by dracut, in the sandbox; a function of few packages, so that it is kept.

dracut takes whatever it finds. So that other packages cannot change what it makes, it runs in a
part of the tree: the kernel's, dracut's, ostree's and the file systems' packages with what they
depend on, and the configuration that an initramfs is made from. The result is kept under the
digest of just that; a rebuild that does not touch it costs nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from dolmen import sandbox
from dolmen.image import dependencies
from dolmen.image.configure import ENVIRONMENT
from dolmen.model import Lock, LockedPackage, Sha256
from dolmen.model.digest import digest_text
from dolmen.store import Image, Store
from dolmen.store.builder import TreeBuilder
from dolmen.support.clock import monotonic
from dolmen.support.errors import PackageError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted
from dolmen.system.tree.construction import Construction, rows
from dolmen.system.tree.kernel import MODULES

#: Raised by whatever changes the bytes.
VERSION = 3
#: dracut's own choice (-15) takes sixteen times as long for a twentieth less. A fixed number of
#: workers: one or more make the same bytes, none or as many as there are processors may not.
_ZSTD = ("--compress", "zstd -q -T2 -6")
NAME = "initramfs.img"
#: Where an image says what its initramfs is kept under.
KEY = "usr/lib/dolmen/initramfs"
_TIMEOUT = 1200.0
_ROOTS = (
    *("dracut", "dracut-core", "ostree-boot", "systemd", "systemd-sysv", "udev", "kmod", "zstd"),
    *("e2fsprogs", "btrfs-progs", "xfsprogs", "dosfstools", "util-linux", "mount", "cpio"),
    *("cryptsetup-bin", "lvm2", "mdadm", "plymouth"),
)
#: What an initramfs is configured by, in the finished tree.
_CONFIGURATION = (
    *("etc/dracut.conf.d", "etc/modprobe.d", "etc/modules-load.d", "etc/dracut.conf"),
    *("usr/lib/dracut/dracut.conf.d", "usr/lib/dracut/modules.d", "usr/lib/ostree"),
    *("usr/lib/dolmen/volatile", "etc/ld.so.conf", "etc/ld.so.conf.d", "etc/alternatives/awk"),
    *("etc/crypttab.initramfs", "etc/vconsole.conf"),
)
_ACCOUNTS = re.compile(
    r"root|nobody|systemd-.*|audio|cdrom|dialout|disk|input|kmem|kvm|lp|render|sgx|tape|tty|utmp|video"
)
_ARGUMENTS = (
    *("--force", "--no-hostonly", "--no-hostonly-cmdline", "--reproducible", "--nostrip"),
    *("--no-early-microcode", "--no-hostonly-i18n", "--tmpdir", "/tmp", "--add", "ostree"),
    *("--filesystems", "ext4 vfat btrfs xfs overlay"),
    *("--omit", "nfs iscsi fcoe fcoe-uefi nbd network network-manager network-legacy plymouth"),
    "--add-drivers",
    "virtio_blk virtio_pci virtio_scsi virtio_net nvme ahci ata_piix sd_mod sr_mod usb_storage uas "
    "mmc_block xen_blkfront hv_storvsc",
)


def initramfs(
    work: Construction, configured: Image, store: Store, *, emit: Emit
) -> tuple[Sha256, bytes]:
    """The initramfs for the tree in the making; `configured` is the image that it began as.

    Returns its key and content. Raises PackageError ("initramfs-failed").
    """
    members = part(work.lock, store)
    key = _key(work, members)
    known = store.resolve(f"initramfs/{key}")
    if known is not None:
        return key, store.file(known, NAME)
    began = monotonic()
    emit(PhaseStarted(Phase.INITRAMFS))
    with store.tree_builder() as builder:
        _prune(builder, work, configured, store, members)
        content = _run(builder, work, store, key)
        builder.keep(f"initramfs/{key}", {NAME: content})
        builder.commit()
    emit(PhaseFinished(Phase.INITRAMFS, 1, monotonic() - began, len(content)))
    return key, content


def part(lock: Lock, store: Store) -> tuple[LockedPackage, ...]:
    """The packages that an initramfs may be made of."""
    graph = dependencies(lock)
    pending = [p.key for p in lock.packages if p.essential or p.name in _ROOTS or _brings(p, store)]
    seen: set[tuple[str, str]] = set()
    while pending:
        key = pending.pop()
        if key not in seen:
            seen.add(key)
            pending.extend(graph[key])
    return tuple(p for p in lock.packages if p.key in seen)


def _brings(package: LockedPackage, store: Store) -> bool:
    """Whether a package has kernels, firmware or parts of dracut's."""
    prefixes = ("usr/lib/modules/", "usr/lib/firmware/", "usr/lib/dracut/modules.d/")
    return any(
        entry.kind == "f" and entry.merged.startswith(prefixes)
        for entry in store.package(package.sha256).paths
    )


def _key(work: Construction, members: Sequence[LockedPackage]) -> Sha256:
    lines = [f"initramfs {VERSION}", work.lock.architecture, work.kernel, shlex.join(_ARGUMENTS)]
    lines += [f"{p.name} {p.architecture} {p.version} {p.sha256}" for p in members]
    lines += [f"{path} {checksum}" for path, checksum in _configuration(work)]
    lines += [
        f"{path} {digest_text(_accounts(work, path))}" for path in ("etc/passwd", "etc/group")
    ]
    return digest_text("\n".join(lines))


def _configuration(work: Construction) -> Iterator[tuple[str, Sha256]]:
    for top in _CONFIGURATION:
        found = work.builder.find(top)
        if found is not None:
            yield top, found
        yield from work.builder.files(top)


def _accounts(work: Construction, path: str) -> str:
    kept = (row for row in rows(work.text(path)) if _ACCOUNTS.fullmatch(row[0]))
    return "".join(f"{':'.join(row)}\n" for row in kept)


def _prune(
    builder: TreeBuilder,
    work: Construction,
    configured: Image,
    store: Store,
    members: Sequence[LockedPackage],
) -> None:
    builder.merge_commit(configured.commit)
    keys = {p.key for p in members}
    paths: set[str] = set()
    for package in members:
        paths |= {e.merged for e in store.package(package.sha256).paths}
    for package in work.lock.packages:
        if package.key not in keys:
            for entry in store.package(package.sha256).paths:
                if entry.kind != "d" and entry.merged not in paths:
                    builder.remove(entry.merged)
    # What scripts have made in /etc, and nobody ships, is not dracut's business.
    for path, _ in list(builder.files("etc")):
        if path not in paths:
            builder.remove(path)
    for path, checksum in _configuration(work):
        # By content: what the image has new is in a transaction of its own, not in the store yet.
        target = work.builder.link_target(checksum)
        attributes = work.builder.attributes(path)
        content = work.builder.read(path)
        if target is not None:
            builder.add_symlink(path, target)
        elif content is not None and attributes is not None:
            builder.add_file(path, content, mode=attributes.mode & 0o777)
    for path in ("etc/passwd", "etc/group"):
        builder.add_file(path, _accounts(work, path).encode())
    for path in ("boot", "var"):
        for name in builder.names(path):
            builder.remove(f"{path}/{name}")
    builder.add_directory("var/tmp", 0o1777)
    builder.add_directory("var/lib")


def _run(builder: TreeBuilder, work: Construction, store: Store, key: Sha256) -> bytes:
    logs = store.path / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / f"{key}.log"
    with store.scratch() as scratch:
        lower, out = scratch / "tree", scratch / "out"
        builder.checkout(lower)
        out.mkdir()
        target = "/run/out/initramfs.img"
        compress = _ZSTD if builder.find("usr/bin/zstd") else ("--gzip",)
        command = shlex.join(["dracut", *_ARGUMENTS, *compress, "--kver", work.kernel, target])
        tail: list[str] = []
        with log.open("w", encoding="utf-8", errors="replace") as stream:

            def on_line(line: str) -> None:
                stream.write(f"{line}\n")
                tail.append(line)
                del tail[:-20]

            result = sandbox.build(
                sandbox.BuildJob(
                    lower=lower,
                    scratch=scratch,
                    argv=("/bin/sh", "-c", f"umask 022; ldconfig; exec {command}"),
                    environment=ENVIRONMENT,
                    timeout=_TIMEOUT,
                    writable=((out, "/run/out"),),
                ),
                on_line=on_line,
            )
        made = out / NAME
        if result.returncode != 0 or not made.is_file() or not made.stat().st_size:
            raise PackageError(
                f"dracut made no initramfs for the kernel {work.kernel}",
                reason="initramfs-failed",
                context=f"log: {log}",
                details=tail,
                hint=f"less {log}",
            )
        return made.read_bytes()


def place(work: Construction, content: bytes) -> None:
    """Put it beside its kernel."""
    work.builder.add_file(f"{MODULES}/{work.kernel}/{NAME}", content)
