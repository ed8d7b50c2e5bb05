"""Writing a disk that boots, beside `mkfs.ext4 -d` on the very same tree."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path

from bench.measure import Result, Sample, fresh_filesystem
from bench.setting import Place, Setting

_LIMIT = 1800
_SYSTEM = """
[system]
kernel = "linux-image-cloud-amd64"

[system.disk]
size = "4G"
"""


def disk_image(setting: Setting) -> Result:
    """The whole command on an image that is built, in turn with mkfs.ext4 and the same root.

    mkfs.ext4 makes one file system from a directory that root has made beforehand; the command
    checks every object's SHA256, makes the boot loader and writes the whole disk, durably. The same
    as qcow2 comes along.
    """
    result = Result("a system's disk image", "at most 1.3 times mkfs.ext4 -d")
    result.peer_name = "mkfs.ext4 -d"
    with fresh_filesystem(setting.filesystem) as root:
        here = Place(setting, root)
        project = here.project("machine", ["openssh-server"])
        with (project / "dolmen.toml").open("a") as manifest:
            manifest.write(_SYSTEM)
        here.run_dolmen(project, "lock")
        here.run_dolmen(project, "system", "build")
        disk = root / "disk.raw"
        here.run_dolmen(project, "system", "image", "-o", str(disk))
        tree, size = _tree(disk, root)
        packed = []
        for _ in range(setting.repeat):
            disk.unlink()
            argv = ("system", "image", "-o", str(disk))
            result.dolmen.append(here.run_dolmen(project, *argv))
            other = root / "disk.qcow2"
            packed.append(here.run_dolmen(project, *argv[:-1], str(other)))
            result.figures["qcow2, MB"] = other.stat().st_size / 1e6
            other.unlink()
            plain = root / "plain.raw"
            script = f"truncate -s {size} plain.raw && mkfs.ext4 -q -F -d {tree} plain.raw"
            result.peer.append(here.run(["sh", "-c", f"{script} && sync plain.raw"], root))
            result.figures["written, MB"] = disk.stat().st_blocks * 512 / 1e6
            result.figures["mkfs.ext4 -d, MB"] = plain.stat().st_blocks * 512 / 1e6
            plain.unlink()
    result.figures["of its time, median of pairs"] = _pairs(result.dolmen, result.peer)
    result.figures["qcow2, of its time"] = _pairs(packed, result.peer)
    return result


def _pairs(ours: list[Sample], theirs: list[Sample]) -> float:
    """The median of the ratios of runs that came one after the other."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(one.seconds / two.seconds for one, two in pairs)


def _tree(disk: Path, root: Path) -> tuple[Path, int]:
    """Copy the disk's root into a directory, hard links and owners kept; its size in bytes."""
    shown = _output("sfdisk", "--json", str(disk))
    part = json.loads(shown)["partitiontable"]["partitions"][3]
    offset, size = part["start"] * 512, part["size"] * 512
    mounted, tree = root / "mounted", root / "tree"
    mounted.mkdir()
    options = f"loop,ro,offset={offset},sizelimit={size}"
    _output("mount", "-o", options, str(disk), str(mounted))
    try:
        _output("cp", "--archive", str(mounted), str(tree))
    finally:
        _output("umount", str(mounted))
    return tree, size


def _output(*argv: str) -> bytes:
    return subprocess.run(argv, check=True, capture_output=True, timeout=_LIMIT).stdout
