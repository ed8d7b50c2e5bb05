"""One kernel, where libostree looks for it: /usr/lib/modules/KVER/{vmlinuz,initramfs.img}.

(`ostree-sysroot-deploy.c`, `get_kernel_layout_in_modules`.) Debian's packages have it in /boot; the
dpkg database is told where it went, so that `dpkg -S` and `dpkg -V` stay true.
"""

from __future__ import annotations

from dolmen.support.errors import DeclarationError
from dolmen.system.tree import database
from dolmen.system.tree.construction import Construction

MODULES = "usr/lib/modules"


def place(work: Construction) -> None:
    """Find the one kernel and move its files; empties /boot.

    Raises DeclarationError ("no-kernel-package", "many-kernels").
    """
    found = [name for name in work.names(MODULES) if work.has(f"{MODULES}/{name}/kernel")]
    images = [name for name in found if _image(work, name)]
    if not images:
        raise DeclarationError(
            "none of the packages brings a kernel",
            reason="no-kernel-package",
            details=found,
            hint='in dolmen.toml, below [system]: kernel = "linux-image-amd64"',
        )
    if len(found) > 1:
        raise DeclarationError(
            f"the packages bring {len(found)} kernels, a system image has one",
            reason="many-kernels",
            details=found,
            hint="in dolmen.toml, below [system], name one kernel only, and none in packages",
        )
    version = work.kernel = images[0]
    target = f"{MODULES}/{version}"
    moved = {}
    for name in ("vmlinuz", "vmlinux"):
        if work.builder.move(f"boot/{name}-{version}", f"{target}/vmlinuz"):
            moved[f"/boot/{name}-{version}"] = f"/{target}/vmlinuz"
    for name in ("config", "System.map"):
        if work.builder.move(f"boot/{name}-{version}", f"{target}/{name}"):
            moved[f"/boot/{name}-{version}"] = f"/{target}/{name}"
    dtbs = f"usr/lib/linux-image-{version}"
    if work.has(dtbs):
        work.builder.move(dtbs, f"{target}/dtb")
        work.builder.add_symlink(dtbs, f"modules/{version}/dtb")
    for name in work.names("boot"):
        work.builder.remove(f"boot/{name}")
    for name in ("vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old"):
        work.builder.remove(name)
    database.relocate(work, moved)


def _image(work: Construction, version: str) -> bool:
    return any(work.has(f"boot/{name}-{version}") for name in ("vmlinuz", "vmlinux"))
