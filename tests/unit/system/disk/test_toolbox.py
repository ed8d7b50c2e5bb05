"""The part of an image that makes its boot loader."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.store import Store
from dolmen.store.objects import Objects
from dolmen.support.errors import StoreError
from dolmen.system.disk.toolbox import check_out_tools


def test_grub_and_its_libraries_are_there_and_little_else(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    with store.tree_builder() as builder:
        for path in ("bin/grub-mkimage", "bin/dash", "lib64/ld.so", "lib/x86_64-linux-gnu/libc.so"):
            builder.add_file(f"usr/{path}", path.encode(), mode=0o755)
        builder.add_symlink("usr/bin/sh", "dash")
        builder.add_symlink("bin", "usr/bin")
        builder.add_file("usr/bin/other", b"other")
        builder.add_file("usr/lib/grub/i386-pc/boot.img", b"boot")
        builder.add_file("usr/lib/grub/x86_64-efi/monolithic/deep", b"deep")
        builder.add_file("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", b"gconv")
        builder.add_file("usr/share/doc/much", b"much")
        builder.add_directory("proc")
        image = builder.commit("test")
    objects = Objects(store.path / "repo")
    place = tmp_path / "tools"
    check_out_tools(objects, image.commit, place)
    found = {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}
    assert found == {
        "usr/bin/grub-mkimage",
        "usr/bin/dash",
        "usr/bin/sh",
        "usr/lib64/ld.so",
        "usr/lib/x86_64-linux-gnu/libc.so",
        "usr/lib/grub/i386-pc/boot.img",
        "usr/lib/grub/x86_64-efi/monolithic/deep",
    }
    assert (place / "bin/grub-mkimage").read_bytes() == b"bin/grub-mkimage"
    assert (place / "usr/bin/dash").stat().st_nlink == 2
    assert (place / "proc").is_dir()
    checksum = objects.dirtree(objects.commit(image.commit).tree).dirs["usr"]
    libraries = objects.dirtree(objects.dirtree(checksum[0]).dirs["bin"][0])
    Path(objects.path(libraries.files["dash"], "file")).unlink()
    with pytest.raises(StoreError) as caught:
        check_out_tools(objects, image.commit, tmp_path / "again")
    assert caught.value.reason == "object-missing"
