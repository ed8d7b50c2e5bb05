"""What an ELF file asks the dynamic linker for: enough of elf(5) for that, and no more.

The files come from packages: every number in them is checked before it is believed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_HEADERS = 256
_MAX_DYNAMIC = 1 << 20
_MAX_STRINGS = 16 << 20
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME = 1, 5, 10, 14


@dataclass(frozen=True, slots=True)
class Elf:
    """`needed`: the sonames of the libraries it is linked to; `soname`: its own, if any."""

    needed: tuple[str, ...]
    soname: str | None


def read_elf(path: Path) -> Elf | None:
    """The dynamic section of a file; None where it is no ELF file, or has none."""
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                return None
            return _read(stream)
    except (OSError, struct.error, ValueError, OverflowError):
        return None


def _read(stream: BinaryIO) -> Elf | None:
    kind, order = struct.unpack("BB", stream.read(2))
    if kind not in (1, 2) or order not in (1, 2):
        return None
    end, wide = "<>"[order - 1], kind == 2
    head = _at(stream, 0, 64 if wide else 52)
    if wide:
        (table,) = struct.unpack_from(f"{end}Q", head, 32)
        size, count = struct.unpack_from(f"{end}HH", head, 54)
    else:
        (table,) = struct.unpack_from(f"{end}I", head, 28)
        size, count = struct.unpack_from(f"{end}HH", head, 42)
    if size < (56 if wide else 32) or count > _MAX_HEADERS:
        return None
    raw = _at(stream, table, size * count)
    loads: list[tuple[int, int, int]] = []
    dynamic: tuple[int, int] | None = None
    for at in range(0, size * count, size):
        if wide:
            segment, _flags, offset, address, _p, length = struct.unpack_from(
                f"{end}IIQQQQ", raw, at
            )
        else:
            segment, offset, address, _p, length = struct.unpack_from(f"{end}IIIII", raw, at)
        if segment == _PT_LOAD:
            loads.append((address, length, offset))
        elif segment == _PT_DYNAMIC:
            dynamic = (offset, min(length, _MAX_DYNAMIC))
    if dynamic is None:
        return None
    entries = _entries(_at(stream, *dynamic), f"{end}QQ" if wide else f"{end}II")
    strings = _strings(stream, entries, loads)
    return Elf(
        tuple(_string(strings, value) for tag, value in entries if tag == _DT_NEEDED),
        next((_string(strings, value) for tag, value in entries if tag == _DT_SONAME), None),
    )


def _entries(data: bytes, form: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    usable = len(data) - len(data) % struct.calcsize(form)
    for tag, value in struct.iter_unpack(form, data[:usable]):
        if tag == 0:
            break
        found.append((tag, value))
    return found


def _strings(
    stream: BinaryIO, entries: list[tuple[int, int]], loads: list[tuple[int, int, int]]
) -> bytes:
    """The string table: its address is one in memory, its place in the file by the segments."""
    values = dict(entries)
    address = values.get(_DT_STRTAB, -1)
    for start, length, offset in loads:
        if start <= address < start + length:
            wanted = min(values.get(_DT_STRSZ, 0), _MAX_STRINGS)
            return _at(stream, offset + address - start, wanted)
    raise ValueError("no string table")


def _string(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    if not 0 <= at < len(strings) or end < 0:
        raise ValueError("a name outside of the string table")
    return strings[at:end].decode(errors="replace")


def _at(stream: BinaryIO, offset: int, length: int) -> bytes:
    stream.seek(offset)
    data = stream.read(length)
    if len(data) != length:
        raise ValueError("the file ends too early")
    return data
