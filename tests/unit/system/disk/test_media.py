"""What bytes are written to; a plain file stands for a device that cannot zero by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.support.errors import HostError
from dolmen.system.disk.media import Behind, Device, Sparse, Window, copy_data, write_all

MIB = 1 << 20


def opened(path: Path, size: int = 0, fill: bytes = b"") -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    if fill:
        os.write(fd, fill * (size // len(fill)))
    return fd


def test_a_device_is_zeroed_where_it_matters_and_read_back(tmp_path: Path) -> None:
    fd = opened(tmp_path / "device", 4 * MIB, b"\xa5")
    device = Device(fd)
    device.zero(0, MIB + 1)
    device.write(2 * MIB, [b"one", b"two"])
    device.finish()
    device.verify()
    data = (tmp_path / "device").read_bytes()
    assert data[: MIB + 1] == bytes(MIB + 1)
    assert data[MIB + 1 : 2 * MIB].strip(b"\xa5") == b""
    assert data[2 * MIB :].startswith(b"onetwo\xa5")
    os.pwrite(fd, b"X", 2 * MIB + 4)
    with pytest.raises(HostError) as caught:
        device.verify()
    assert caught.value.reason == "disk-differs"
    os.close(fd)


def test_a_window_counts_from_its_start(tmp_path: Path) -> None:
    fd = opened(tmp_path / "disk")
    medium = Sparse(fd, MIB)
    Window(medium, 4096).write(10, [b"here"])
    Window(medium, 4096).zero(0, 10)
    assert (tmp_path / "disk").read_bytes()[4106:4110] == b"here"
    assert medium.written == 4
    os.close(fd)


def test_many_pieces_go_out_in_order(tmp_path: Path) -> None:
    fd = opened(tmp_path / "file")
    pieces = [bytes([number % 251]) * (number % 7) for number in range(3000)]
    assert write_all(fd, 5, pieces) == sum(map(len, pieces))
    assert (tmp_path / "file").read_bytes()[5:] == b"".join(pieces)
    os.close(fd)


class _Failing:
    def __init__(self) -> None:
        self.calls: list[int] = []

    def write(self, offset: int, pieces: list[bytes]) -> None:
        self.calls.append(offset)
        if offset == 3:
            raise OSError(28, "full")

    def zero(self, offset: int, length: int) -> None:
        self.calls.append(-offset)


def test_what_is_written_behind_keeps_its_order_and_tells_its_errors() -> None:
    medium = _Failing()
    with Behind(medium) as behind:
        behind.write(1, [b"x"])
        behind.zero(2, 4)
    assert medium.calls == [1, -2]
    with pytest.raises(OSError, match="full"), Behind(medium) as behind:
        _write_much(behind)
    assert medium.calls == [1, -2, 3]
    with pytest.raises(KeyboardInterrupt), Behind(medium) as behind:
        raise KeyboardInterrupt


def _write_much(behind: Behind) -> None:
    for offset in range(3, 40):
        behind.write(offset, [b"x"])


def test_holes_are_not_copied(tmp_path: Path) -> None:
    fd = opened(tmp_path / "sparse")
    os.ftruncate(fd, 64 * MIB)
    os.pwrite(fd, b"data" * 1024, 8 * MIB)
    os.pwrite(fd, b"more" * 1024, 40 * MIB)
    copy = opened(tmp_path / "copy")
    medium = Sparse(copy, 64 * MIB)
    copy_data(fd, medium, 64 * MIB)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()
    assert medium.written < MIB
    os.close(fd)
    os.close(copy)
