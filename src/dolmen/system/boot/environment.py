"""GRUB's environment block: 1024 bytes that the boot loader itself can write.

GRUB writes the file's sectors where they lie, without a file system's help, and reads them without
the journal's. So this side must never move them: the file is overwritten in place, in one write of
two sectors, and never truncated or renamed (grub-editenv truncates).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dolmen.support.errors import HostError

SIZE = 1024
_SIGNATURE = "# GRUB Environment Block\n"


def block(values: Mapping[str, str]) -> bytes:
    """Write variables as a block. Raises HostError "boot-state-full" when they do not fit."""
    text = _SIGNATURE
    for name, value in values.items():
        quoted = value.replace("\\", "\\\\").replace("\n", "\\\n")
        text += f"{name}={quoted}\n"
    data = text.encode()
    if len(data) > SIZE:
        raise HostError("GRUB's environment block is full", reason="boot-state-full")
    return data + b"#" * (SIZE - len(data))


def parse(data: bytes) -> dict[str, str]:
    """Read a block; of one that is damaged, what can still be read."""
    values: dict[str, str] = {}
    body = data.decode("utf-8", "replace").removeprefix(_SIGNATURE)
    for line in body.split("\n"):
        if line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if equals and name:
            values[name] = value.replace("\\\\", "\\")
    return values


def read(path: Path) -> dict[str, str]:
    """Read the variables of a file; none of one that is missing."""
    try:
        return parse(path.read_bytes()[:SIZE])
    except FileNotFoundError:
        return {}


def change(path: Path, **changes: str | None) -> None:
    """Set variables (None: forget one) in place; durable when it returns."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        old = os.pread(fd, SIZE, 0)
        values = parse(old)
        for name, value in changes.items():
            if value is None:
                values.pop(name, None)
            else:
                values[name] = value
        new = block(values)
        if new != old:
            os.pwrite(fd, new, 0)
            os.fsync(fd)
    finally:
        os.close(fd)
