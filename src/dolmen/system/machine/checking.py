"""Why an image may not be deployed: every reason is found before anything is switched."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dolmen.store.sysroot import Metadata, Sysroot
from dolmen.store.sysroot.commits import Kernel, damages, exists, kernels
from dolmen.support.clock import monotonic, wall
from dolmen.support.errors import MachineError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted, ignore
from dolmen.system.machine.memory import highest_sequence

#: Seconds that another machine's clock may be ahead of ours.
_AHEAD = 86400
#: What uname(2) calls it -> what Debian calls it.
_MACHINES: Mapping[str, str] = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "i386",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def architecture(sysroot: Sysroot) -> str:
    """The architecture that a sysroot's images have; "" where nothing says."""
    if sysroot.booted:
        return _MACHINES.get(os.uname().machine, "")
    own = sysroot.own()
    return own[0].metadata.architecture if own else ""


def check_metadata(
    sysroot: Sysroot, image: Metadata, *, ref: str | None = None, allow_downgrade: bool = False
) -> None:
    """Judge an image by what its commit says, before anything of it is fetched.

    Raises MachineError ("other-architecture", "older-image", "future-image", "other-ref").
    """
    here = architecture(sysroot)
    if here and image.architecture and image.architecture != here:
        raise MachineError(
            f"the image is for {image.architecture}, and this machine is {here}",
            reason="other-architecture",
            context=image.commit,
            hint="take the image of this architecture: dolmen system rebase REF",
        )
    if ref is not None:
        check_ref(image, ref)
    if image.sequence > wall() + _AHEAD:
        raise MachineError(
            f"the image has sequence number {image.sequence}, which lies in the future: every "
            "later update would look old",
            reason="future-image",
            context=image.commit,
            hint="compare the clocks of this machine and of the one that built it: date -u",
        )
    highest = highest_sequence(sysroot)
    if image.sequence < highest and not allow_downgrade:
        raise MachineError(
            f"the image is older than what was here already (sequence {image.sequence}, "
            f"before {highest})",
            reason="older-image",
            context=f"{image.version or image.commit}",
            hint="if that is wanted: the same with --allow-downgrade; "
            "to go back to what ran before: dolmen system rollback",
        )


def check_ref(image: Metadata, ref: str) -> None:
    """Raise MachineError ("other-ref") for an image that was made to be another's."""
    if image.refs and ref not in image.refs:
        raise MachineError(
            f"the image was signed as {', '.join(image.refs)[:200]}, and is shown as {ref}",
            reason="other-ref",
            context=image.commit,
            hint="dolmen system rebase REF",
        )


def check_objects(sysroot: Sysroot, commit: str, *, emit: Emit = ignore) -> None:
    """Read and hash what is new in an image; raises MachineError ("image-damaged")."""
    history = sysroot.repository
    current = sysroot.current() if sysroot.booted else None
    began = monotonic()
    emit(PhaseStarted(Phase.CHECK))
    found, count = damages(
        history,
        commit,
        running=current.commit if current is not None else "",
        progress=lambda done, total: emit(PhaseProgress(Phase.CHECK, done, total)),
    )
    emit(PhaseFinished(Phase.CHECK, count, monotonic() - began))
    if found:
        raise MachineError(
            f"the image is damaged: {found[0]}",
            reason="image-damaged",
            context=commit,
            details=found[:10],
            hint=f"ostree fsck --repo={history.path} --delete; then fetch it again: "
            "dolmen system upgrade",
        )


def check_tree(sysroot: Sysroot, commit: str) -> Kernel:
    """Judge an image by its tree; returns its only kernel.

    Raises MachineError ("no-kernel", "several-kernels", "no-system").
    """
    history = sysroot.repository
    for path in ("/usr/etc", "/usr/lib/os-release"):
        if not exists(history, commit, path):
            raise MachineError(
                f"this is no system image: it has no {path}",
                reason="no-system",
                context=commit,
                hint="dolmen system build --help",
            )
    there = kernels(history, commit)
    if len(there) != 1:
        raise MachineError(
            "the image has no kernel with an initramfs"
            if not there
            else f"the image has {len(there)} kernels, and a machine starts one",
            reason="no-kernel" if not there else "several-kernels",
            context=commit,
            details=[f"/usr/lib/modules/{one.version}" for one in there]
            or ["wanted: /usr/lib/modules/KVER/vmlinuz and initramfs.img"],
            hint="dolmen system lint",
        )
    return there[0]
