"""What bytes are written to; a plain file stands for a device that cannot zero by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolmen.support.errors import HostError
from dolmen.system.disk import media
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


@pytest.mark.parametrize("holes", [True, False])
def test_a_hole_is_made_where_something_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holes: bool
) -> None:
    """Where the file system knows no holes, zeros are written."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * (3 << 20))
    if not holes:
        monkeypatch.setattr(media, "_libc", _NoHoles)
    with path.open("r+b") as stream:
        media.make_hole(stream.fileno(), 4096, (2 << 20) + 4096)
    content = path.read_bytes()
    assert len(content) == 3 << 20
    assert content[:4096].count(b"x") == 4096
    assert content[4096 : (2 << 20) + 8192].count(0) == (2 << 20) + 4096
    assert content[(2 << 20) + 8192 :].count(b"x") == (1 << 20) - 8192
    assert (path.stat().st_blocks * 512 < 3 << 20) == holes


class _NoHoles:
    def fallocate(self, *_arguments: object) -> int:
        return -1
