"""The FAT writer, judged by fsck.vfat and mtools."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolmen.support.errors import UsageError
from dolmen.system.disk.fat import Fat
from tests.lib.disks import MIB, run


def write(path: Path, size: int, files: dict[str, bytes]) -> Fat:
    made = Fat(size, files, serial=0x12345678, label="ESP", stamp=1_700_000_000)
    with path.open("wb") as stream:
        stream.truncate(size)
        end = 0
        for offset, data in made.pieces():
            assert offset >= end
            stream.seek(offset)
            stream.write(data)
            end = offset + len(data)
    return made


def check(path: Path) -> None:
    run("fsck.vfat", "-n", path)


@pytest.mark.parametrize(("size", "wide"), [(8, False), (32, False), (64, True), (600, True)])
def test_files_are_read_back(tmp_path: Path, size: int, wide: bool) -> None:
    disk = tmp_path / "esp"
    files = {
        "EFI/BOOT/BOOTX64.EFI": bytes(range(256)) * 2000,
        "EFI/debian/A long name.with dots.cfg": b"long",
        "EFI/debian/A long name, too.cfg": b"second",
        "empty": b"",
        "lower.txt": b"lower",
    }
    made = write(disk, size * MIB, files)
    assert made.wide is wide
    check(disk)
    for name, content in files.items():
        out = tmp_path / "out"
        run("mcopy", "-n", "-o", "-i", disk, f"::{name}", out)
        assert out.read_bytes() == content
    listed = run("mdir", "-/", "-i", disk, "::")
    assert "1234-5678" in listed
    assert "2023-11-14" in listed
    assert "A long name, too.cfg" in listed


def test_what_does_not_fit_is_refused() -> None:
    for size, content in ((8 * MIB, bytes(9 * MIB)), (1 * MIB, b"")):
        with pytest.raises(UsageError) as caught:
            Fat(size, {"file": content}, serial=1, label="ESP", stamp=0)
        assert caught.value.reason == "disk-too-small"


_PART = st.text(string.ascii_letters + string.digits + "._- +[]", min_size=1, max_size=40).filter(
    lambda name: name.strip(". ") == name and name
)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.lists(_PART, min_size=1, max_size=3).map("/".join), st.integers(0, 3000)),
        max_size=12,
        unique_by=lambda item: item[0].lower(),
    ).filter(
        lambda items: (
            not any(a.lower().startswith(b.lower() + "/") for a, _ in items for b, _ in items)
        )
    )
)
def test_any_names_are_sound(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, int]]
) -> None:
    disk = tmp_path_factory.mktemp("fat") / "esp"
    folded: dict[str, str] = {}
    files = {}
    for name, size in items:
        # Directories that differ in case only are one and the same to those who read FAT.
        parts = [folded.setdefault(part.lower(), part) for part in name.split("/")]
        files["/".join(parts)] = b"c" * size
    write(disk, 8 * MIB, files)
    check(disk)
    for name, content in files.items():
        out = disk.parent / "out"
        pattern = "".join(f"\\{c}" if c in "[]" else c for c in name)
        run("mcopy", "-n", "-o", "-i", disk, f"::{pattern}", out)
        assert out.read_bytes() == content
