"""Placing GRUB on a disk that a BIOS boots: sector 0, and a partition of its own for the rest.

What grub-bios-setup does on a live disk, done on bytes: boot.img learns where the rest begins, and
the first sector of the rest (diskboot.img) learns where it continues. Offsets are those of GRUB's
include/grub/i386/pc/boot.h and of diskboot.S, the same in 2.06 and 2.12.
"""

from __future__ import annotations

import struct

from dolmen.support.errors import HostError

SECTOR = 512
#: How much of sector 0 is code; the disk's signature and partition table follow.
MBR_CODE = 440

_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_FIRST_BLOCK = SECTOR - 12
_LOAD_SEGMENT = 0x820
#: A core image must end below the memory that the BIOS keeps for itself.
_MAX_CORE = 0x78000


def embed(boot_img: bytes, core_img: bytes, first_sector: int) -> tuple[bytes, bytes]:
    """Return the code for sector 0 (440 bytes) and the core image for a partition there.

    `first_sector` is the partition's first sector, counted in 512 bytes from the disk's start.
    Raises HostError "boot-loader-unusable" when these are not GRUB's images.
    """
    if len(boot_img) != SECTOR or boot_img[510:] != b"\x55\xaa":
        raise _unusable("boot.img is not a boot sector")
    if not SECTOR < len(core_img) <= _MAX_CORE:
        raise _unusable(f"core.img has {len(core_img)} bytes")
    code = bytearray(boot_img)
    struct.pack_into("<Q", code, _KERNEL_SECTOR, first_sector)
    # Some BIOSes hand over a wrong drive number; for a hard disk the check for it is left out.
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    core = bytearray(core_img) + bytes(-len(core_img) % SECTOR)
    rest = len(core) // SECTOR - 1
    struct.pack_into("<QHH", core, _FIRST_BLOCK, first_sector + 1, rest, _LOAD_SEGMENT)
    return bytes(code[:MBR_CODE]), bytes(core)


def _unusable(what: str) -> HostError:
    return HostError(what, reason="boot-loader-unusable", hint="dolmen system lint")
