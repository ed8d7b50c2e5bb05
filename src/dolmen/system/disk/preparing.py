"""A whole disk laid out: what goes where, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from dolmen.model import Sha256
from dolmen.support.errors import HostError
from dolmen.support.events import Emit, Phase, PhaseProgress, ignore
from dolmen.system.boot import MBR_CODE, BootAssets, BootEntry, embed, menu
from dolmen.system.disk import gpt, sysroot
from dolmen.system.disk.committed import Committed
from dolmen.system.disk.ext4.plan import Written
from dolmen.system.disk.ext4.superblock import Identity
from dolmen.system.disk.ext4.writing import FileSystem, estimate
from dolmen.system.disk.fat import Fat
from dolmen.system.disk.layout import MIB, DiskOptions, Names, divide
from dolmen.system.disk.media import Medium, Nowhere, Window
from dolmen.system.disk.mounted import KINDS, check_kind, write_mounted
from dolmen.system.disk.nodes import Node, file, place, walk
from dolmen.system.disk.order import of_packages

#: Journals by the size of the file system, as mke2fs chooses them.
_JOURNALS = ((128 * MIB, 4 * MIB), (1024 * MIB, 16 * MIB), (2048 * MIB, 32 * MIB))
_LARGEST_JOURNAL = 64 * MIB


class Bootable(Protocol):
    """What a disk is made from: `SystemImage` has it."""

    @property
    def key(self) -> Sha256:
        """What it was built from."""
        ...

    @property
    def commit(self) -> Sha256:
        """Its commit in the store's repository."""
        ...


class Prepared:
    """A disk that is laid out in full; nothing of the target was touched.

    `whole`: bytes of a disk that is there already; `written`: what its root has already. Raises
    StoreError ("object-missing", "object-damaged", "no-kernel", "no-system"), UsageError
    ("disk-too-small", "filesystem-unsupported") and HostError as the boot loader has it.
    """

    def __init__(
        self,
        repository: Path,
        image: Bootable,
        *,
        assets: Callable[[str, str], BootAssets],
        options: DiskOptions,
        whole: int = 0,
        written: Written = MappingProxyType({}),
    ) -> None:
        if options.filesystem != "ext4":
            check_kind(options.filesystem)
        self.options = options
        self.image = image
        names = Names(f"{image.key}\0{options.seed}")
        self.root_uuid = str(names.identity("root"))
        self.boot_uuid = str(names.identity("boot"))
        serial = f"{names.serial('esp'):08X}"
        self.esp_uuid = f"{serial[:4]}-{serial[4:]}"
        committed = Committed(repository, image.commit)
        self.objects = committed.objects
        details = sysroot.details(repository, image.commit)
        self.time = details.timestamp
        self.kernel = sysroot.kernel(committed)
        loader = assets(self.boot_uuid, self.esp_uuid)
        arguments = (
            f"root=UUID={self.root_uuid}",
            "rw",
            *sysroot.declared_arguments(committed),
            *loader.arguments,
            *options.arguments,
        )
        entry = sysroot.entry(committed, self.kernel, arguments, details.version)
        root = sysroot.root_tree(
            committed,
            self.kernel,
            refspec=options.refspec or f"system/{image.key}",
            time=self.time,
            config=options.config,
            etc={},
        )
        boot = self._boot(entry, loader, f"{image.commit}.0")
        journal = _journal(whole or options.size)
        content = estimate(root, journal=journal)
        # Inode tables, bitmaps and the superuser's share come on top.
        content += content // 12 + 16 * MIB
        if options.filesystem != "ext4":
            content = max(content, KINDS[options.filesystem].least)
        self.layout = divide(options, names, content, whole)
        self._names = names
        self._loader = loader
        self._code = self._embedded()
        # On a disk that is there the root grows when it first starts: making the tables of a
        # terabyte now would take longer than writing the system.
        room = self.layout.root.size
        if whole:
            planned = divide(DiskOptions(boot_size=options.boot_size), names, content).root.size
            room = min(room, planned)
        self.tree = root
        self.content = content
        self.root: FileSystem | None = None
        if options.filesystem == "ext4":
            identity = self._identity("root")
            first = of_packages(committed.root)
            self.root = FileSystem(
                root, room, identity, journal=journal, first=first, written=written
            )
        identity = self._identity("boot")
        self.boot = FileSystem(boot, self.layout.boot.size, identity, journal=4 * MIB)
        self.esp = Fat(
            self.layout.esp.size,
            loader.esp,
            serial=names.serial("esp"),
            label="ESP",
            stamp=self.time,
        )

    def _boot(self, entry: sysroot.Entry, loader: BootAssets, deployment: str) -> Node:
        item = BootEntry(
            title=entry.title,
            version=str(entry.version),
            linux=entry.linux,
            initrd=entry.initrd,
            options=entry.options,
            index=0,
            deployment=deployment,
        )
        boot = sysroot.boot_tree(self.kernel, entry, menu=menu([item]), time=self.time)
        for path, content in sorted(loader.boot.items()):
            place(boot, path, file(content, mtime=self.time))
        return boot

    def _identity(self, role: str) -> Identity:
        names = self._names
        return Identity(
            names.identity(role).bytes,
            names.identity(f"{role} hash").bytes,
            f"dolmen-{role}",
            self.time,
        )

    @property
    def kept(self) -> set[str]:
        """The objects that the root has already, where they belong."""
        return self.root.plan.kept if self.root is not None else set()

    def write(self, medium: Medium, emit: Emit = ignore) -> None:
        """Write all but the partition table. Raises StoreError for objects that are damaged."""
        layout = self.layout
        esp = Window(medium, layout.esp.start)
        end = 0
        for offset, data in self.esp.pieces():
            esp.zero(end, offset - end)
            esp.write(offset, [data])
            end = offset + len(data)
        esp.zero(end, layout.esp.size - end)
        self.boot.write(Window(medium, layout.boot.start))
        if self.root is not None:
            total = self.root.used
            self.root.write(_Counting(Window(medium, layout.root.start), total, emit))

    def check(self) -> None:
        """Read everything that `write` and `fill` would, and write nothing."""
        self.write(Nowhere())
        if self.root is None:
            for node in walk(self.tree):
                for _ in node.chunks():
                    pass

    def fill(self, fd: int) -> None:
        """Write the root where its own kernel driver has to; needs an open raw disk."""
        if self.root is None:
            write_mounted(
                self.options.filesystem,
                self.tree,
                fd,
                self.layout.root.start,
                self.layout.root.size,
                uuid=self.root_uuid,
                label="dolmen-root",
            )

    def write_table(self, medium: Medium) -> None:
        """Write what makes all that a disk: boot sector, partition tables, the boot loader's core.

        It comes last: what is cut short is nobody's disk, and none that starts by half.
        """
        layout = self.layout
        code, core = self._code
        front, back = gpt.tables(layout.size, self._names.identity("disk"), layout.partitions)
        end = layout.root.start + layout.root.size
        medium.zero(end, layout.size - len(back) - end)
        medium.write(layout.size - len(back), [back])
        medium.write(layout.bios.start, [core.ljust(layout.bios.size, b"\0")])
        mbr = gpt.protective_mbr(layout.size, code)
        medium.write(0, [(mbr + front).ljust(layout.bios.start, b"\0")])

    def _embedded(self) -> tuple[bytes, bytes]:
        """The BIOS' part of the boot loader, for its two places."""
        if not self._loader.boot_img:
            return b"", b""
        first = self.layout.bios.start // gpt.SECTOR
        code, core = embed(self._loader.boot_img, self._loader.core_img, first)
        if len(core) > self.layout.bios.size:
            raise HostError("the boot loader is too large", reason="boot-loader-unusable")
        return code[:MBR_CODE], core


def _journal(size: int) -> int:
    """A root's journal, by the size of its disk (0: by default)."""
    for limit, journal in _JOURNALS:
        if 0 < size < limit:
            return journal
    return _LARGEST_JOURNAL


class _Counting:
    def __init__(self, medium: Medium, total: int, emit: Emit) -> None:
        self._medium, self._total, self._emit = medium, total, emit
        self._done = 0

    def write(self, offset: int, pieces: list[bytes]) -> None:
        self._medium.write(offset, pieces)
        self._done += sum(map(len, pieces))
        self._emit(
            PhaseProgress(
                Phase.WRITE, bytes_done=min(self._done, self._total), bytes_total=self._total
            )
        )

    def zero(self, offset: int, length: int) -> None:
        self._medium.zero(offset, length)
        self._done += length
