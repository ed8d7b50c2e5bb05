"""Large files that take another's place."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dolmen.support.errors import HostError
from dolmen.system.disk.replacing import check_place, replacing


@pytest.fixture(params=["nameless", "named"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both on file systems that know files without a name and on others (NFS, old overlays)."""
    known = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return known(path, flags, *rest, **more)

    if request.param == "named":
        monkeypatch.setattr(os, "open", refuse)
    return str(request.param)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_file_is_there_when_it_is_whole(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.write_bytes(b"old")
    check_place(target)
    with replacing(target) as fd:
        os.write(fd, b"new")
        assert target.read_bytes() == b"old"
        assert len(names(tmp_path)) == (1 if kind == "nameless" else 2)
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["disk"]
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_an_error_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(target) as fd:
        _interrupted(fd)
    with pytest.raises(HostError) as caught, replacing(target):
        raise OSError(errno.ENOSPC, "full")
    assert caught.value.reason == "disk-full"
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["disk"]


def test_a_place_that_takes_no_files_is_told(kind: str, tmp_path: Path) -> None:
    check_place(tmp_path / "disk")
    assert names(tmp_path) == []
    with pytest.raises(HostError) as caught:
        check_place(tmp_path / "nowhere/disk")
    assert caught.value.reason == "disk-unwritable"
    with pytest.raises(HostError) as caught, replacing(tmp_path / "nowhere/disk"):
        pass
    assert caught.value.reason == "disk-unwritable"


def _interrupted(fd: int) -> None:
    os.write(fd, b"new")
    raise KeyboardInterrupt


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
