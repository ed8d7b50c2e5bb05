"""What every system image carries so that it starts, counts its starts, and lives its own life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

_UNITS = "usr/lib/systemd/system"
_REPLAY = "usr/lib/dracut/modules.d/98dolmen-replay"


@dataclass(frozen=True, slots=True)
class MachineFile:
    """A file below an image's root, or a symbolic link when `target` is set; root's own."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    target: str = ""


#: Where each file of data/system/ goes, and with which mode. Enabled by links in /usr: presets and
#: edits of /etc are the administrator's (ostree-peers, E6).
_FILES = (
    ("boot-menu", "usr/lib/dolmen/boot-menu", 0o755),
    ("boot-generator", "usr/lib/systemd/system-generators/dolmen-boot-generator", 0o755),
    ("dolmen-boot-complete.service", f"{_UNITS}/dolmen-boot-complete.service", 0o644),
    ("dolmen-boot-watch.service", f"{_UNITS}/dolmen-boot-watch.service", 0o644),
    ("dolmen-ssh-keys.service", f"{_UNITS}/dolmen-ssh-keys.service", 0o644),
    ("dolmen-first-start.service", f"{_UNITS}/dolmen-first-start.service", 0o644),
    ("first-start", "usr/lib/dolmen/first-start", 0o755),
    ("dolmen-grow-root.service", f"{_UNITS}/dolmen-grow-root.service", 0o644),
    ("finalize-staged.conf", f"{_UNITS}/ostree-finalize-staged.service.d/50-dolmen.conf", 0o644),
    ("emergency.conf", f"{_UNITS}/emergency.service.d/50-dolmen.conf", 0o644),
    ("manager.conf", "usr/lib/systemd/system.conf.d/50-dolmen.conf", 0o644),
    ("replay-setup.sh", f"{_REPLAY}/module-setup.sh", 0o755),
    ("replay.sh", f"{_REPLAY}/replay.sh", 0o755),
    ("dolmen-replay.service", f"{_REPLAY}/dolmen-replay.service", 0o644),
)
_MODULE = "usr/lib/dracut/modules.d/98dolmen-volatile"
_VOLATILE = (
    ("volatile-setup.sh", f"{_MODULE}/module-setup.sh", 0o755),
    ("volatile.sh", f"{_MODULE}/volatile.sh", 0o755),
    ("dolmen-volatile.service", f"{_MODULE}/dolmen-volatile.service", 0o644),
)
_WANTED = (
    ("multi-user.target", "dolmen-boot-complete.service"),
    ("sysinit.target", "dolmen-boot-watch.service"),
    ("multi-user.target", "dolmen-grow-root.service"),
    ("ssh.service", "dolmen-ssh-keys.service"),
    ("basic.target", "dolmen-first-start.service"),
)


def machine_files(
    *,
    target: str = "multi-user.target",
    tries: int = 3,
    volatile: str = "no",
    keep: Sequence[str] = (),
) -> tuple[MachineFile, ...]:
    """Files and links for an image, in it before its initramfs is made.

    `target` is what a good start reaches, `tries` how often a new entry may fail to. `volatile` is
    the manifest's word: "no"; "state" forgets /var and /etc but for the paths `keep`; "yes" all.
    """
    data = resources.files("dolmen").joinpath("data/system")
    found = []
    forgetting = volatile != "no"
    for name, path, mode in (*_FILES, *(_VOLATILE if forgetting else ())):
        content = data.joinpath(name).read_bytes()
        if name == "dolmen-boot-complete.service":
            content = content.replace(b"multi-user.target", target.encode())
        found.append(MachineFile(path, content, mode))
    for by, unit in _WANTED:
        wanting = target if unit == "dolmen-boot-complete.service" else by
        found.append(MachineFile(f"{_UNITS}/{wanting}.wants/{unit}", target=f"../{unit}"))
    found.append(MachineFile("usr/lib/dolmen/boot-tries", f"{tries}\n".encode()))
    if forgetting:
        paths = "".join(f"{path}\n" for path in (keep if volatile == "state" else ()))
        found.append(MachineFile("usr/lib/dolmen/volatile", paths.encode()))
    return tuple(found)
