"""The root's partition takes a disk that has become larger."""

from __future__ import annotations

import os
import struct
import uuid
import zlib
from pathlib import Path

import pytest

from dolmen.support.errors import HostError
from dolmen.system.boot.growing import grow, mounted_from, read_table, write_table
from dolmen.system.disk import gpt

MIB = 1 << 20


def disk(path: Path, size: int, later: int, *, attributes: int = gpt.GROW) -> int:
    """A disk of two partitions, made for `size` and then enlarged to `later` bytes."""
    partitions = [
        gpt.Partition(gpt.EXTENDED_BOOT, uuid.uuid4(), "boot", MIB, MIB),
        gpt.Partition(gpt.ROOT["amd64"], uuid.uuid4(), "root", 2 * MIB, 4 * MIB, attributes),
    ]
    first, last = gpt.tables(size, uuid.uuid4(), partitions)
    with path.open("wb") as stream:
        stream.write(gpt.protective_mbr(size) + first)
        stream.seek(size - len(last))
        stream.write(last)
        stream.truncate(later)
    return os.open(path, os.O_RDWR)


def test_the_last_partition_takes_what_was_added(tmp_path: Path) -> None:
    fd = disk(tmp_path / "disk", 8 * MIB, 32 * MIB)
    try:
        made = grow(read_table(fd), 2, 32 * MIB)
        assert made is not None
        table, start, length = made
        assert start * 512 == 2 * MIB
        assert 29 * MIB <= length * 512 < 30 * MIB
        assert (start + length) % 2048 == 0
        write_table(fd, table, 32 * MIB)
        # The same bytes as a disk that was that large from the start.
        again = read_table(fd)
        assert again.entry(1) == table.entry(1)
        assert struct.unpack_from("<Q", again.entry(2), 40)[0] == start + length - 1
        copy = os.pread(fd, 512, 32 * MIB - 512)
        checksum = struct.unpack_from("<I", copy, 16)[0]
        assert zlib.crc32(copy[:16] + bytes(4) + copy[20:92]) == checksum
        assert struct.unpack_from("<QQ", copy, 24) == (32 * MIB // 512 - 1, 1)
        assert grow(again, 2, 32 * MIB) is None
    finally:
        os.close(fd)


def test_nothing_grows_that_does_not_ask(tmp_path: Path) -> None:
    fd = disk(tmp_path / "disk", 8 * MIB, 32 * MIB, attributes=0)
    try:
        assert grow(read_table(fd), 2, 32 * MIB) is None
        assert grow(read_table(fd), 1, 32 * MIB) is None
    finally:
        os.close(fd)


def test_a_damaged_table_is_left_alone(tmp_path: Path) -> None:
    fd = disk(tmp_path / "disk", 8 * MIB, 32 * MIB)
    try:
        read_table(fd)
        os.pwrite(fd, b"\xff", 1024 + 128 + 100)
        with pytest.raises(HostError) as caught:
            read_table(fd)
        assert caught.value.reason == "no-partition-table"
    finally:
        os.close(fd)


def test_the_device_of_a_mount_is_what_lies_on_top() -> None:
    mounts = """\
26 1 254:4 / / rw,relatime - ext4 /dev/vda4 rw
27 26 0:33 / /sysroot rw,noatime shared:1 - btrfs /dev/vda4 rw,subvolid=5
28 26 254:3 / /boot rw - ext4 /dev/vda3 rw
29 27 0:40 / /sysroot rw - tmpfs tmpfs rw
"""
    assert mounted_from(Path("/boot"), mounts) == ("ext4", "/dev/vda3")
    assert mounted_from(Path("/sysroot"), mounts) == ("tmpfs", "")
    assert mounted_from(Path("/sysroot"), mounts.rsplit("29", 1)[0]) == ("btrfs", "/dev/vda4")
    assert mounted_from(Path("/nothing"), mounts) == ("", "")
