"""A searchable form of one Contents index (archive.filenames_writer makes it).

```
blocks     zlib: 1024 lines "PATH TAB PACKAGES", in the order of the Contents index
hashes     CRC-32 of the last component of every path, 4 bytes each, in the same order
commands   zlib: the lines of bin, sbin and games as "NAME TAB PATH TAB PACKAGES", sorted
offsets    where each block begins, 8 bytes each
tail       JSON with the places of these, its own length (4 bytes), and a magic word
```

A name is looked for among the hashes with one pass of memchr's kin; each hit names one block.
"""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from pathlib import Path
from typing import IO, Any

MAGIC = b"DLMNAMES1"
LINES = 1024
_TAIL = len(MAGIC) + 4

#: Path prefixes of commands, as Contents spells them.
COMMANDS = (
    b"bin/",
    b"sbin/",
    b"usr/bin/",
    b"usr/sbin/",
    b"usr/games/",
    b"usr/local/bin/",
)

#: Top-level directories that are links into usr on a merged system.
_ALIASED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")

Line = tuple[str, tuple[str, ...]]


class FileNames:
    """One opened file; made by `open`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        end = stream.seek(-_TAIL, 2)
        raw = stream.read(_TAIL)
        if raw[4:] != MAGIC:
            raise ValueError("not a file of names")
        (length,) = struct.unpack("<I", raw[:4])
        stream.seek(end - length)
        self._places: dict[str, Any] = json.loads(stream.read(length))

    @classmethod
    def open(cls, path: Path) -> FileNames:
        """Open a file; raises OSError and ValueError."""
        stream = path.open("rb")
        try:
            return cls(stream)
        except BaseException:
            stream.close()
            raise

    def __enter__(self) -> FileNames:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stream.close()

    def named(self, name: str) -> list[Line]:
        """The paths whose last component is `name`, with their packages."""
        wanted = name.encode(errors="surrogateescape")
        hashes = self._read("hashes")
        needle = struct.pack("<I", zlib.crc32(wanted))
        found: list[Line] = []
        blocks: dict[int, list[bytes]] = {}
        at = hashes.find(needle)
        while at >= 0:
            if at % 4 == 0:
                block, line = divmod(at // 4, LINES)
                if block not in blocks:
                    blocks = {block: self._block(block)}
                path, _, packages = blocks[block][line].rpartition(b"\t")
                if path.rpartition(b"/")[2] == wanted:
                    found.append(_line(path, packages))
            at = hashes.find(needle, at + 1)
        return found

    def commands(self, prefix: str) -> list[Line]:
        """The commands whose names begin with `prefix`, sorted by name."""
        text = b"\n" + zlib.decompress(self._read("commands"))
        wanted = b"\n" + prefix.encode(errors="surrogateescape")
        found: list[Line] = []
        at = text.find(wanted)
        while at >= 0:
            end = text.find(b"\n", at + 1)
            if end < 0:
                break
            path, _, packages = text[at + 1 : end].partition(b"\t")[2].rpartition(b"\t")
            found.append(_line(path, packages))
            at = text.find(wanted, end)
        return found

    def _block(self, number: int) -> list[bytes]:
        start, length = self._places["offsets"]
        assert (number + 2) * 8 <= length
        self._stream.seek(start + number * 8)
        offsets = array("Q", self._stream.read(16))
        self._stream.seek(offsets[0])
        return zlib.decompress(self._stream.read(offsets[1] - offsets[0])).split(b"\n")

    def _read(self, part: str) -> bytes:
        start, length = self._places[part]
        self._stream.seek(start)
        return self._stream.read(length)


def _line(path: bytes, packages: bytes) -> Line:
    """Packages come as "section/name" or "area/section/name", separated by commas."""
    names = (package.rpartition(b"/")[2] for package in packages.split(b","))
    shown = path.decode(errors="surrogateescape")
    merged = f"usr/{shown}" if shown.startswith(_ALIASED) else shown
    return merged, tuple(name.decode(errors="replace") for name in names)
