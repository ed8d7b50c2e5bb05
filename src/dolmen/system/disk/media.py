"""What bytes are written to: a sparse file, a qcow2 file, a block device, a part of one of them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import hashlib
import os
import queue
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Protocol

from dolmen.support.errors import HostError

#: A sparse file's disk gets it in parts of this size; smaller holes do not matter.
_SOON, _NEAR = 32 << 20, 1 << 20
_SOME = 512  # buffers in one call; IOV_MAX is 1024
_ZEROS = bytes(1 << 20)
_AHEAD = 4  # writes that may wait, of some megabytes each
# linux/fs.h: make a range read as zeros; read the partition table again; logical sector size.
_BLKZEROOUT = 0x127F
_BLKRRPART = 0x125F
_BLKSSZGET = 0x1268
_BLKFLSBUF = 0x1261


class Medium(Protocol):
    """Where a disk goes. Offsets are bytes; ranges never overlap and are written once."""

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write the pieces one behind the other."""
        ...

    def zero(self, offset: int, length: int) -> None:
        """See to it that this reads as zeros."""
        ...


class Sparse:
    """A fresh file: what is not written is a hole, and holes read as zeros.

    The disk gets what is written soon, so that little is left to do when it is to be durable.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.written = 0
        self._waiting: tuple[int, int] | None = None
        os.ftruncate(fd, size)

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write the pieces one behind the other."""
        length = write_all(self._fd, offset, pieces)
        self.written += length
        first, end = self._waiting or (offset, offset)
        if first <= offset <= end + _NEAR and offset + length - first < _SOON:
            self._waiting = (first, offset + length)
            return
        begin_writing(self._fd, min(first, offset), max(end, offset + length) - min(first, offset))
        self._waiting = None

    def zero(self, offset: int, length: int) -> None:
        """Nothing: it is a hole."""

    def finish(self) -> None:
        """Nothing is left to do."""


class Device:
    """A block device; what was there before has to be overwritten where it matters.

    Each write is remembered by its SHA256, so that `verify` can read the device back.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.written = 0
        self._sums: list[tuple[int, int, bytes]] = []

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write the pieces one behind the other."""
        length = write_all(self._fd, offset, pieces)
        self.written += length
        found = hashlib.sha256()
        for piece in pieces:
            found.update(piece)
        self._sums.append((offset, length, found.digest()))

    def zero(self, offset: int, length: int) -> None:
        """By the device itself where it can, else by writing."""
        if not length:
            return
        with suppress(OSError):
            fcntl.ioctl(self._fd, _BLKZEROOUT, struct.pack("QQ", offset, length))
            return
        while length:
            part = min(length, len(_ZEROS))
            write_all(self._fd, offset, [_ZEROS[:part]])
            offset += part
            length -= part

    def finish(self) -> None:
        """Let the device have it all, and the kernel read the new partitions."""
        os.fsync(self._fd)
        with suppress(OSError):
            fcntl.ioctl(self._fd, _BLKFLSBUF, 0)

    def verify(self) -> None:
        """Read back what was written; raises HostError ("disk-differs")."""
        with suppress(OSError):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        for offset, length, wanted in self._sums:
            found = hashlib.sha256()
            left, here = length, offset
            while left:
                data = os.pread(self._fd, min(left, len(_ZEROS)), here)
                if not data:
                    break
                found.update(data)
                left -= len(data)
                here += len(data)
            if found.digest() != wanted:
                raise HostError(
                    f"what the disk gives back from byte {offset} on is not what was written",
                    reason="disk-differs",
                    hint="journalctl -k | tail",
                )

    def reread(self) -> None:
        """Have the kernel look at the partition table; it may be busy with it."""
        with suppress(OSError):
            fcntl.ioctl(self._fd, _BLKRRPART, 0)


class Behind:
    """Writes to another medium in a thread, while the caller reads and checks what comes next.

    In order, a few megabytes behind; what goes wrong is raised by the next call, or at the end.
    """

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._waiting: queue.Queue[tuple[int, list[bytes] | int] | None] = queue.Queue(_AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Behind:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._error = self._error or error
        self._waiting.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Have the pieces written, one behind the other."""
        self._put(offset, pieces)

    def zero(self, offset: int, length: int) -> None:
        """See to it that this will read as zeros."""
        self._put(offset, length)

    def _put(self, offset: int, what: list[bytes] | int) -> None:
        if self._error is not None:
            raise self._error
        self._waiting.put((offset, what))

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None:
            if self._error is not None:
                continue
            try:
                offset, what = task
                if isinstance(what, int):
                    self._medium.zero(offset, what)
                else:
                    self._medium.write(offset, what)
            except BaseException as error:
                self._error = error


class Window:
    """A partition: a medium from `start` on."""

    def __init__(self, medium: Medium, start: int) -> None:
        self._medium = medium
        self._start = start

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write the pieces one behind the other."""
        self._medium.write(self._start + offset, pieces)

    def zero(self, offset: int, length: int) -> None:
        """See to it that this reads as zeros."""
        self._medium.zero(self._start + offset, length)


class Nowhere:
    """Takes everything: writing to it reads and checks what would be written."""

    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Nothing."""

    def zero(self, offset: int, length: int) -> None:
        """Nothing."""


def begin_writing(fd: int, offset: int, length: int) -> None:
    """Have the kernel write a part of a file to its disk, and do not wait for it.

    sync_file_range(2) with SYNC_FILE_RANGE_WRITE; it is no promise, so that failing is no error.
    """
    _libc().sync_file_range(
        ctypes.c_int(fd), ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(2)
    )


def make_hole(fd: int, offset: int, length: int) -> None:
    """See to it that a part of a file reads as zeros: fallocate(2) with FALLOC_FL_PUNCH_HOLE and
    FALLOC_FL_KEEP_SIZE, or by writing where the file system has no holes."""
    code = _libc().fallocate(
        ctypes.c_int(fd), ctypes.c_int(3), ctypes.c_int64(offset), ctypes.c_int64(length)
    )
    while code and length:
        part = min(length, len(_ZEROS))
        write_all(fd, offset, [_ZEROS[:part]])
        offset += part
        length -= part


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def write_all(fd: int, offset: int, pieces: list[bytes]) -> int:
    """Write pieces one behind the other, in as few calls as may be; returns their length."""
    start = offset
    for place in range(0, len(pieces), _SOME):
        part = pieces[place : place + _SOME]
        wanted = sum(map(len, part))
        done = os.pwritev(fd, part, offset)
        if done != wanted:
            # A signal or an almost full file system cut it short.
            rest = b"".join(part)
            while done < wanted:
                done += os.pwrite(fd, rest[done:], offset + done)
        offset += wanted
    return offset - start


def copy_data(fd: int, medium: Medium, size: int) -> None:
    """Copy what a sparse file holds, and not its holes."""
    place = 0
    while place < size:
        try:
            place = os.lseek(fd, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = os.lseek(fd, place, os.SEEK_HOLE)
        while place < end:
            data = os.pread(fd, min(end - place, 4 << 20), place)
            medium.write(place, [data])
            place += len(data)


def sector_size(fd: int) -> int:
    """The logical sector of a block device, in bytes."""
    return int(struct.unpack("i", fcntl.ioctl(fd, _BLKSSZGET, bytes(4)))[0])
