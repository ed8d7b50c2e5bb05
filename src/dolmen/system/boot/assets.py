"""The boot loader of an image, made from the image's own GRUB, in the sandbox.

Everything GRUB needs is inside the one file that the firmware starts: it knows /boot by its file
system's UUID and reads the stub there, which no upgrade writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from dolmen.support.errors import HostError
from dolmen.support.files import remove_tree
from dolmen.system.boot.environment import block

_TIMEOUT = 120.0
_COMMON = (
    *("normal", "configfile", "linux", "loadenv", "test", "true", "echo", "minicmd", "sleep"),
    *("reboot", "halt", "serial", "terminal", "gzio", "ls", "cat", "search", "search_fs_uuid"),
    *("part_gpt", "ext2", "fat"),
)


@dataclass(frozen=True, slots=True)
class _Firmware:
    """One way in: GRUB's name of the format, what else goes into the image, and its name."""

    format: str
    modules: tuple[str, ...]
    file: str = ""


_BIOS = _Firmware("i386-pc", ("biosdisk", "vga", "vbe", "at_keyboard"))
_EFI = {
    "amd64": _Firmware("x86_64-efi", ("efi_gop", "efi_uga", "all_video"), "EFI/BOOT/BOOTX64.EFI"),
    "arm64": _Firmware("arm64-efi", ("efi_gop", "all_video", "fdt"), "EFI/BOOT/BOOTAA64.EFI"),
}


@dataclass(frozen=True, slots=True)
class BootAssets:
    """What a disk gets beside its systems.

    `boot_img` and `core_img` are for `embed` (empty where there is no BIOS); `esp` and `boot` map
    paths below the ESP and below /boot to contents. `arguments` are kernel arguments that every
    entry of this disk carries: they tell the machine where its /boot is.
    """

    boot_img: bytes
    core_img: bytes
    esp: Mapping[str, bytes]
    boot: Mapping[str, bytes]
    arguments: tuple[str, ...] = field(default=())


def assets(
    tree: Path,
    scratch: Path,
    *,
    boot_uuid: str,
    architecture: str,
    timeout: int | None = None,
) -> BootAssets:
    """Make the boot loader of the image checked out at `tree`, for a /boot of this UUID.

    `scratch` is a directory for the sandbox; `timeout` is how long the menu waits, in seconds.
    The same tree gives the same bytes. Raises HostError "boot-loader-unusable" when the image's
    GRUB is missing or fails, with its last lines.
    """
    efi = _EFI.get(architecture)
    if efi is None:
        raise HostError(
            f"no boot loader is known for {architecture}", reason="boot-loader-unusable"
        )
    wanted = (_BIOS, efi) if architecture == "amd64" else (efi,)
    made = _images(tree, scratch, wanted, boot_uuid)
    stub = resources.files("dolmen").joinpath("data/system/grub.cfg").read_bytes()
    settings = {} if timeout is None else {"dolmen_timeout": str(timeout)}
    boot_img = b""
    if _BIOS in wanted:
        boot_img = (tree / "usr/lib/grub" / _BIOS.format / "boot.img").read_bytes()
    return BootAssets(
        boot_img=boot_img,
        core_img=made.get(_BIOS.format, b""),
        esp={efi.file: made[efi.format]},
        boot={"grub/grub.cfg": stub, "grub/grubenv": block(settings)},
        arguments=(
            # systemd would take the ESP for /boot otherwise.
            "systemd.gpt_auto=0",
            f"dolmen.boot=UUID={boot_uuid}",
        ),
    )


def _images(
    tree: Path, scratch: Path, wanted: tuple[_Firmware, ...], boot_uuid: str
) -> dict[str, bytes]:
    """Run the image's grub-mkimage once for each firmware."""
    for firmware in wanted:
        if not (tree / "usr/lib/grub" / firmware.format / "moddep.lst").is_file():
            raise HostError(
                f"the image has no GRUB for {firmware.format}", reason="boot-loader-unusable"
            )
    files, out = scratch / "grub-files", scratch / "grub-out"
    for directory in (files, out):
        if directory.exists():
            remove_tree(directory)
        directory.mkdir(parents=True)
    (files / "early.cfg").write_text(
        f"search --no-floppy --fs-uuid --set=root {boot_uuid}\nset prefix=($root)/grub\n"
    )
    script = "set -e\n" + "".join(
        f"grub-mkimage -O {firmware.format} -o /run/out/{firmware.format} -p /grub "
        f"-c /run/dolmen/early.cfg {' '.join((*_COMMON, *firmware.modules))}\n"
        for firmware in wanted
    )
    # Imported here: the commands of a machine read what a boot loader says, and make none.
    from dolmen.sandbox import BuildJob, build

    lines: list[str] = []
    result = build(
        BuildJob(
            lower=tree,
            scratch=scratch / "grub-work",
            argv=("sh", "-c", script),
            environment={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "SOURCE_DATE_EPOCH": "0",
            },
            timeout=_TIMEOUT,
            files=files,
            writable=((out, "/run/out"),),
        ),
        on_line=lines.append,
    )
    try:
        if result.returncode:
            raise HostError(
                "the image's grub-mkimage has failed",
                reason="boot-loader-unusable",
                details=lines[-20:],
            )
        return {firmware.format: (out / firmware.format).read_bytes() for firmware in wanted}
    finally:
        remove_tree(scratch / "grub-work")
