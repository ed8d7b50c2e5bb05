"""From a Contents index as the archive has it to a searchable one (archive.filenames).

Seven million lines: what is done for each of them is done by C functions over lists, and zlib
works in other threads meanwhile.
"""

from __future__ import annotations

import json
import lzma
import os
import queue
import struct
import threading
import zlib
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

from dolmen.archive.filenames import COMMANDS, LINES, MAGIC
from dolmen.support.errors import ArchiveError
from dolmen.support.files import sync_directory

#: A third of all lines, and nobody asks: Policy 12.3 has each package's below its own name.
SKIPPED = b"usr/share/doc/"

_CHUNK = 1 << 18
_AHEAD = 8
#: A line is a path and packages; what exceeds this is nobody's honest index.
_MAX_LINE = 1 << 20

Tell = Callable[[int, int], None]


def write_names(source: Path, target: Path, *, kind: str, tell: Tell) -> None:
    """Index the Contents file `source` (compressed as `kind`: "gz" or "xz") as `target`.

    `tell(done, total)` hears of the progress, in bytes. Raises ArchiveError ("bad-index").
    """
    temporary = target.with_suffix(".new")
    with temporary.open("wb") as stream, ThreadPoolExecutor(2) as pool:
        _Writer(stream, pool).write(decompressed(source, kind, tell))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(target)
    sync_directory(target.parent)


class _Writer:
    def __init__(self, stream: IO[bytes], pool: ThreadPoolExecutor) -> None:
        self._stream = stream
        self._pool = pool
        self._hashes = array("I")
        self._offsets = array("Q", [0])
        self._commands: list[bytes] = []
        self._waiting: queue.SimpleQueue[Future[bytes]] = queue.SimpleQueue()

    def write(self, texts: Iterator[bytes]) -> None:
        rest: list[list[bytes]] = []
        for text in texts:
            lines = [line for line in text.split(b"\n") if not line.startswith(SKIPPED)]
            pairs = [pair for line in lines if len(pair := line.rsplit(None, 1)) == 2]
            names = [pair[0].rpartition(b"/")[2] for pair in pairs]
            self._hashes.extend(map(zlib.crc32, names))
            self._commands += [
                b"%s\t%s\t%s" % (name, *pair)
                for name, pair in zip(names, pairs, strict=True)
                if pair[0].startswith(COMMANDS)
            ]
            rest += pairs
            while len(rest) >= LINES:
                self._block(rest[:LINES])
                rest = rest[LINES:]
        if rest:
            self._block(rest)
        while not self._waiting.empty():
            self._append()
        places: dict[str, tuple[int, int]] = {}
        for part, data in (
            ("hashes", self._hashes.tobytes()),
            ("commands", zlib.compress(_lines(sorted(set(self._commands))), 6)),
            ("offsets", self._offsets.tobytes()),
        ):
            places[part] = (self._stream.tell(), len(data))
            self._stream.write(data)
        tail = json.dumps(places).encode()
        self._stream.write(tail + struct.pack("<I", len(tail)) + MAGIC)

    def _block(self, pairs: list[list[bytes]]) -> None:
        text = b"\n".join(map(b"\t".join, pairs))
        self._waiting.put(self._pool.submit(zlib.compress, text, 1))
        while self._waiting.qsize() > _AHEAD:
            self._append()

    def _append(self) -> None:
        data = self._waiting.get().result()
        self._stream.write(data)
        self._offsets.append(self._offsets[-1] + len(data))


def _lines(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def decompressed(source: Path, kind: str, tell: Tell) -> Iterator[bytes]:
    """Whole lines, decompressed ahead by another thread; raises ArchiveError ("bad-index")."""
    chunks: queue.Queue[tuple[bytes, int] | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()
    reader = threading.Thread(target=_decompress, args=(source, kind, chunks, stop), daemon=True)
    reader.start()
    total = source.stat().st_size
    rest = b""
    try:
        while (item := chunks.get()) is not None:
            if isinstance(item, BaseException):
                raise ArchiveError(
                    "a list of files in packages cannot be decompressed",
                    reason="bad-index",
                    context=str(item)[:200],
                    hint="name another mirror in dolmen.toml, and tell whoever signs this one",
                )
            chunk, done = item
            tell(done, total)
            head, newline, tail = chunk.rpartition(b"\n")
            if newline:
                yield rest + head
                rest = tail
            else:
                rest += tail
            if len(rest) > _MAX_LINE:
                rest = b""
        if rest:
            yield rest
    finally:
        stop.set()
        while reader.is_alive():
            try:
                chunks.get(timeout=0.1)
            except queue.Empty:
                continue


def _decompress(
    source: Path,
    kind: str,
    chunks: queue.Queue[tuple[bytes, int] | BaseException | None],
    stop: threading.Event,
) -> None:
    try:
        with source.open("rb") as stream:
            reading = _unxz(stream) if kind == "xz" else _gunzip(stream)
            for chunk in reading:
                if stop.is_set():
                    return
                chunks.put((chunk, stream.tell()))
        chunks.put(None)
    except BaseException as error:
        chunks.put(error)


def _gunzip(stream: IO[bytes]) -> Iterator[bytes]:
    """Pieces of bounded size, of all members; zlib lets other threads run, gzip's reader less."""
    unpacker, begun = zlib.decompressobj(31), False
    while data := stream.read(_CHUNK):
        while data:
            begun = True
            chunk = unpacker.decompress(data, _CHUNK * 16)
            if chunk:
                yield chunk
            data = unpacker.unconsumed_tail
            if unpacker.eof:
                data = unpacker.unused_data
                unpacker, begun = zlib.decompressobj(31), False
    if begun:
        raise EOFError("it ends too early")


def _unxz(stream: IO[bytes]) -> Iterator[bytes]:
    unpacker = lzma.LZMADecompressor()
    while not unpacker.eof:
        data = stream.read(_CHUNK) if unpacker.needs_input else b""
        if not data and unpacker.needs_input:
            raise EOFError("it ends too early")
        yield unpacker.decompress(data, _CHUNK * 16)
