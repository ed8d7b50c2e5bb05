"""A whole system from its lock to a disk that boots, beside mmdebstrap.

mmdebstrap gets the very packages of the lock, with initramfs-tools where the lock has dracut, and
makes its own initramfs with it; `mkfs.ext4 -d` then writes the tree to one file system. That has
no partition table, boot loader, boot entry or repository, and nothing of it is checked against a
checksum: what Dolmen does beyond the peer is in Dolmen's time.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.measure import Result, Sample, fresh_filesystem
from bench.setting import Place, Setting
from dolmen.model import parse_lock

#: About 250 packages with their closure: a web server with a database, kernel and tools.
SERVER = ("openssh-server", "nginx", "postgresql", "rsyslog", "chrony", "unattended-upgrades")
#: In every closure of these: asking for one as well gives another lock of the same .debs.
_COMPANIONS = ("python3-minimal", "libpython3-stdlib", "media-types", "libsqlite3-0", "libexpat1")
_SINGLES = ("tree", "bc", "psmisc", "time", "dos2unix")
_KERNEL = "linux-image-amd64"
#: dracut's packages, in whose place the peer has its own.
_DRACUT = ("dracut", "dracut-core", "initramfs-tools")
_SIZE = "4G"
_SYSTEM = f"""
[system]
kernel = "{_KERNEL}"

[system.disk]
size = "{_SIZE}"
"""


def cold(setting: Setting) -> Result:
    """Nothing fetched yet: solving, .debs, packages' scripts, initramfs, disk."""
    result = Result("cold: a system's disk image", "2 times faster")
    for _ in range(setting.repeat):
        with fresh_filesystem(setting.filesystem) as root:
            here = Place(setting, root)
            project = _project(here, "system", SERVER)
            result.dolmen.append(_both(here, project))
            names = _packages(project)
        result.figures["packages"] = len(names)
        with fresh_filesystem(setting.filesystem) as root:
            result.peer.append(_peer(Place(setting, root), names))
    return result


def warm(setting: Setting) -> Result:
    """The same .debs under another lock, in a store that has made an image before."""
    result = Result("warm: a system's disk image, .debs imported", "4 times faster")
    _again(setting, result, [(*SERVER, *_COMPANIONS[: n + 1]) for n in range(setting.repeat)])
    return result


def added(setting: Setting) -> Result:
    """One package more, its .deb still to be fetched."""
    result = Result("one package added to a system's disk image", "4 times faster")
    _again(setting, result, [(*SERVER, _SINGLES[n]) for n in range(setting.repeat)])
    return result


def _again(setting: Setting, result: Result, wanted: list[tuple[str, ...]]) -> None:
    with fresh_filesystem(setting.filesystem) as root:
        here = Place(setting, root)
        names: tuple[str, ...] = ()
        first = _project(here, "system", SERVER)
        _both(here, first)
        for number, packages in enumerate(wanted):
            project = _project(here, f"system{number}", packages)
            result.dolmen.append(_both(here, project))
            names = _packages(project)
    result.figures["packages"] = len(names)
    for _ in range(setting.repeat):
        with fresh_filesystem(setting.filesystem) as root:
            result.peer.append(_peer(Place(setting, root), names))


def _project(here: Place, name: str, packages: tuple[str, ...]) -> Path:
    directory = here.project(name, packages)
    with (directory / "dolmen.toml").open("a") as manifest:
        manifest.write(_SYSTEM)
    return directory


def _both(here: Place, project: Path) -> Sample:
    """`dolmen lock` and `dolmen system image` as one: mmdebstrap solves, too."""
    lock = here.run_dolmen(project, "lock")
    image = here.run_dolmen(project, "system", "image", "-o", str(project / "disk.raw"))
    peak = max(lock.peak_kib, image.peak_kib)
    return Sample(lock.seconds + image.seconds, lock.cpu + image.cpu, peak)


def _packages(project: Path) -> tuple[str, ...]:
    lock = parse_lock((project / "dolmen.lock").read_text())
    return tuple(p.name for p in lock.packages if p.name not in _DRACUT)


def _peer(here: Place, names: tuple[str, ...]) -> Sample:
    """The same packages as a tree, and that as a file system, on the disk when it ends."""
    setting = here.setting
    source = f"deb [signed-by={setting.keyring}] {setting.mirror.uri} {setting.suite} main"
    include = ",".join(("initramfs-tools", *names))
    make = ["mmdebstrap", "--mode=root", "--variant=essential", "--format=directory"]
    make += [f"--include={include}", setting.suite, "tree", source]
    script = (
        f"{shlex.join(make)} && truncate -s {_SIZE} plain.raw"
        " && mkfs.ext4 -q -F -d tree plain.raw && sync plain.raw"
    )
    return here.run(["sh", "-c", script], here.root)
