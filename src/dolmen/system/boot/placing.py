"""What every system image carries so that it starts, counts its starts, and lives its own life."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

_UNITS = "usr/lib/systemd/system"


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
    ("dolmen-grow-root.service", f"{_UNITS}/dolmen-grow-root.service", 0o644),
    ("finalize-staged.conf", f"{_UNITS}/ostree-finalize-staged.service.d/50-dolmen.conf", 0o644),
    ("emergency.conf", f"{_UNITS}/emergency.service.d/50-dolmen.conf", 0o644),
    ("manager.conf", "usr/lib/systemd/system.conf.d/50-dolmen.conf", 0o644),
)
_WANTED = (
    ("multi-user.target", "dolmen-boot-complete.service"),
    ("sysinit.target", "dolmen-boot-watch.service"),
    ("multi-user.target", "dolmen-grow-root.service"),
    ("ssh.service", "dolmen-ssh-keys.service"),
)


def machine_files(*, target: str = "multi-user.target", tries: int = 3) -> tuple[MachineFile, ...]:
    """Files and links for an image; `target` is what a good start reaches, `tries` how often a new
    entry may fail to.
    """
    data = resources.files("dolmen").joinpath("data/system")
    found = []
    for name, path, mode in _FILES:
        content = data.joinpath(name).read_bytes()
        if name == "dolmen-boot-complete.service":
            content = content.replace(b"multi-user.target", target.encode())
        found.append(MachineFile(path, content, mode))
    for by, unit in _WANTED:
        wanting = target if unit == "dolmen-boot-complete.service" else by
        found.append(MachineFile(f"{_UNITS}/{wanting}.wants/{unit}", target=f"../{unit}"))
    found.append(MachineFile("usr/lib/dolmen/boot-tries", f"{tries}\n".encode()))
    return tuple(found)
