"""How a disk is divided, and the names (UUIDs) that everything on it has."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from dolmen.support.errors import UsageError
from dolmen.system.disk import gpt

MIB = 1 << 20
#: A partition for the BIOS' part of the boot loader, as everybody makes it.
BIOS_SIZE = MIB
#: FAT32 needs 65525 clusters, so an ESP that every firmware reads is not smaller.
ESP_SIZE = 64 * MIB
#: Two kernels with their initramfs, a third while upgrading, each up to 115 MB (ostree-peers D2).
BOOT_SIZE = 512 * MIB
#: What the root gets beyond its content where no size is asked for: room for an upgrade or two.
_ROOT_SPARE = 1536 * MIB
#: Sizes that nobody asked for are multiples of it: most changes of packages leave them as they are.
_STEP = 512 * MIB


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """How to lay out a disk; sizes in bytes, 0 for the default.

    `size` of the whole disk; `filesystem` of the root; `seed` makes other UUIDs from the same
    image; `form` is "raw" or "qcow2"; `refspec` is what the machine upgrades from; `config` are
    further lines for the repository's configuration; `arguments` further kernel arguments.
    `grow`: the root shall take the whole of a bigger disk when it first starts.
    """

    size: int = 0
    boot_size: int = 0
    esp_size: int = 0
    filesystem: str = "ext4"
    seed: str = ""
    form: str = "raw"
    architecture: str = "amd64"
    refspec: str = ""
    config: str = ""
    arguments: tuple[str, ...] = ()
    grow: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """Everything on a disk that must be unique, made from the image's key and a seed."""

    base: str

    def identity(self, role: str) -> uuid.UUID:
        """The UUID of a part of the disk, in the form of a random one (RFC 4122, 4.4)."""
        digest = hashlib.sha256(f"dolmen disk\0{self.base}\0{role}".encode()).digest()
        return uuid.UUID(bytes=digest[:16], version=4)

    def serial(self, role: str) -> int:
        """A FAT volume's 32-bit number."""
        return self.identity(role).int & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Layout:
    """A divided disk; `size` in bytes."""

    size: int
    bios: gpt.Partition
    esp: gpt.Partition
    boot: gpt.Partition
    root: gpt.Partition

    @property
    def partitions(self) -> tuple[gpt.Partition, ...]:
        """In their order on the disk."""
        return self.bios, self.esp, self.boot, self.root


def divide(options: DiskOptions, names: Names, content: int, whole: int = 0) -> Layout:
    """Lay out a disk whose root takes `content` bytes; `whole`: the size of the disk that is there.

    Raises UsageError ("disk-too-small").
    """
    esp_size = _aligned(options.esp_size or ESP_SIZE)
    boot_size = _aligned(options.boot_size or BOOT_SIZE)
    before = MIB + BIOS_SIZE + esp_size + boot_size
    least = before + _aligned(content) + MIB
    size = whole or options.size
    if not size:
        size = _aligned(least + content // 2 + _ROOT_SPARE, _STEP)
    size -= size % gpt.SECTOR
    if size < least:
        raise UsageError(
            f"the system needs {least // MIB} MiB, and the disk has {size // MIB}",
            reason="disk-too-small",
            hint="leave --size out, or give a larger one" if not whole else "take another disk",
        )
    root_end = (size - MIB) // MIB * MIB
    kind = gpt.ROOT.get(options.architecture)
    if kind is None:
        raise UsageError(
            f"no kind of root partition is known for {options.architecture}",
            reason="unknown-architecture",
        )
    grow = gpt.GROW if options.grow else 0
    return Layout(
        size,
        _partition(gpt.BIOS_BOOT, names, "bios", MIB, BIOS_SIZE),
        _partition(gpt.EFI_SYSTEM, names, "esp", MIB + BIOS_SIZE, esp_size),
        _partition(gpt.EXTENDED_BOOT, names, "boot", MIB + BIOS_SIZE + esp_size, boot_size),
        _partition(kind, names, "root", before, root_end - before, grow),
    )


def _partition(
    kind: uuid.UUID, names: Names, name: str, start: int, size: int, attributes: int = 0
) -> gpt.Partition:
    return gpt.Partition(kind, names.identity(f"partition {name}"), name, start, size, attributes)


def _aligned(size: int, to: int = MIB) -> int:
    return -(-size // to) * to
