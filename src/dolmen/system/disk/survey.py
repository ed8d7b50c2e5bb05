"""What lies on a disk now, for those about to overwrite it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolmen.support.errors import HostError, UsageError
from dolmen.support.run import run

_TIMEOUT = 30.0
_COLUMNS = "NAME,TYPE,SIZE,FSTYPE,LABEL,PARTLABEL,MOUNTPOINTS"


@dataclass(frozen=True, slots=True)
class Part:
    """A disk or a part of it; `size` in bytes, `used` where it is mounted or what it is used for.

    `kind` is lsblk's ("disk", "part", "crypt", "lvm", …), `filesystem` "" where there is none.
    """

    name: str
    kind: str
    size: int
    filesystem: str = ""
    label: str = ""
    used: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """A target: its size in bytes and what is there, the disk itself first."""

    target: Path
    size: int
    parts: tuple[Part, ...]

    @property
    def in_use(self) -> tuple[str, ...]:
        """Where any of it is mounted, or what it is used for."""
        return tuple(f"{part.name}: {place}" for part in self.parts for place in part.used)


def survey(target: Path) -> Survey:
    """Look at a block device, or at a file that is a disk.

    Raises UsageError ("no-disk") when it is neither, HostError when it cannot be looked at.
    """
    try:
        found = target.stat()
    except FileNotFoundError:
        raise UsageError(
            f"there is no {target}",
            reason="no-disk",
            hint="lsblk (or make an image: dolmen system image -o FILE)",
        ) from None
    if stat.S_ISBLK(found.st_mode):
        return _device(target)
    if stat.S_ISREG(found.st_mode):
        return _file(target, found.st_size)
    raise UsageError(f"{target} is no disk and no file", reason="no-disk", hint="lsblk")


def refuse_used(found: Survey) -> None:
    """Raise HostError ("disk-in-use") when any part of it is in use."""
    if found.in_use:
        raise HostError(
            f"{found.target} is in use",
            reason="disk-in-use",
            details=found.in_use,
            hint=f"see what uses it: lsblk {found.target}",
        )


def _device(target: Path) -> Survey:
    done = run(
        ["lsblk", "--json", "--bytes", "--output", _COLUMNS, str(target.resolve())],
        timeout=_TIMEOUT,
    )
    try:
        found = json.loads(done.stdout)["blockdevices"]
        top: dict[str, Any] = found[0]
    except (ValueError, LookupError):
        raise HostError(
            f"lsblk does not know {target}",
            reason="disk-unknown",
            details=done.stderr.decode(errors="replace").splitlines()[-5:],
        ) from None
    parts = tuple(_walk(top))
    if parts[0].kind == "part":
        raise UsageError(
            f"{target} is a partition, and a whole disk is needed",
            reason="no-disk",
            hint="lsblk --paths",
        )
    return Survey(target, parts[0].size, parts)


def _walk(entry: dict[str, Any], above: str = "") -> list[Part]:
    name, kind = str(entry.get("name")), str(entry.get("type"))
    places = [str(place) for place in entry.get("mountpoints") or () if place]
    if above and kind not in ("disk", "part", "loop", "rom"):
        places.append(f"is part of {above}, {kind}")
    part = Part(
        name,
        kind,
        int(entry.get("size") or 0),
        str(entry.get("fstype") or ""),
        str(entry.get("label") or entry.get("partlabel") or ""),
        tuple(places),
    )
    found = [part]
    for child in entry.get("children") or ():
        found += _walk(child, name)
    return found


def _file(target: Path, size: int) -> Survey:
    columns = "NR,SIZE,NAME"
    done = run(
        ["partx", "--raw", "--bytes", "--noheadings", "-o", columns, str(target)],
        timeout=_TIMEOUT,
    )
    used = tuple(_loops(target.resolve()))
    parts = [Part(target.name, "file", size, used=used)]
    if done.ok:
        for line in done.stdout.decode(errors="replace").splitlines():
            number, length, *name = line.split(" ", 2)
            parts.append(Part(f"{target.name}{number}", "part", int(length), label="".join(name)))
    return Survey(target, size, tuple(parts))


def _loops(target: Path) -> list[str]:
    """Loop devices that the file is attached to."""
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if os.path.samefile(path.read_text().rstrip("\n"), target):
                found.append(f"/dev/{path.parts[3]}")
        except OSError:
            continue
    return found
