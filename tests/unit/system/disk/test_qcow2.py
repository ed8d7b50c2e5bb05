"""The qcow2 writer, judged by qemu-img."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolmen.system.disk.qcow2 import CLUSTER, Qcow2
from tests.lib.disks import MIB, run


def write(path: Path, size: int, parts: list[tuple[int, bytes]]) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        made = Qcow2(fd, size)
        for offset, data in parts:
            half = len(data) // 2
            made.write(offset, [data[:half], data[half:]])
        made.finish()
    finally:
        os.close(fd)


def content(path: Path) -> bytes:
    raw = path.with_suffix(".raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw.read_bytes()


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 40 * CLUSTER), st.integers(0, 5 * CLUSTER)), max_size=6))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("qcow2") / "disk.qcow2"
    size = 50 * CLUSTER
    wanted = bytearray(size)
    parts = []
    for number, (offset, length) in enumerate(places):
        data = bytes([number + 1]) * length
        parts.append((offset, data))
        wanted[offset : offset + length] = data
    write(path, size, parts)
    assert "No errors were found" in run("qemu-img", "check", path)
    assert content(path) == bytes(wanted)


def test_a_large_disk_takes_little_room(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    size = 3 * 1024 * 1024 * MIB
    write(path, size, [(size - 1000, b"end" * 300), (0, b"start"), (700 * MIB, bytes(5 * MIB))])
    assert "No errors were found" in run("qemu-img", "check", path)
    assert path.stat().st_size < 8 * MIB
    assert str(size) in run("qemu-img", "info", "--output=json", path)
