"""Owners, special bits and capabilities in objects, as libostree has them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dolmen.store import Store
from dolmen.store.checkout import Wanted
from dolmen.store.objects import Attributes, decode_attributes, full_header
from dolmen.support.run import run

_CAPABILITY = ("security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))


@pytest.mark.parametrize(
    "attributes",
    [
        Attributes(stat.S_IFREG | 0o4755, 0, 0),
        Attributes(stat.S_IFREG | 0o2755, 0, 42),
        Attributes(stat.S_IFREG | 0o755, 7, 65534, (_CAPABILITY,)),
        Attributes(stat.S_IFREG | 0o640, 1, 2, (("user.a", b""), ("user.b", b"x" * 300))),
    ],
)
def test_attributes_are_encoded_as_glib_does(attributes: Attributes) -> None:
    from gi.repository import GLib

    xattrs = [(name.encode() + b"\0", value) for name, value in attributes.xattrs]
    numbers = [
        int.from_bytes(value.to_bytes(4, "big"), "little")
        for value in (attributes.uid, attributes.gid, attributes.mode)
    ]
    known = GLib.Variant("(uuua(ayay))", (*numbers, xattrs)).get_data_as_bytes().get_data()
    assert attributes.encode() == bytes(known)
    assert decode_attributes(attributes.encode()) == attributes
    header = GLib.Variant("(uuuusa(ayay))", (*numbers, 0, "", xattrs)).get_data_as_bytes()
    assert full_header(attributes)[8:] == bytes(header.get_data())


def test_a_tree_with_owners_is_what_libostree_checks_and_shows(store_dir: Path) -> None:
    store = Store.open(store_dir)
    with store.tree_builder() as builder:
        builder.add_file("usr/bin/su", b"su", mode=0o755)
        builder.add_file("usr/bin/ping", b"ping", mode=0o755)
        builder.add_symlink("usr/bin/link", "su")
        builder.add_directory("var/mail")
        assert builder.give("usr/bin/su", 0o4755, 0, 0)
        assert builder.give("usr/bin/ping", 0o755, 0, 0, (_CAPABILITY,))
        assert builder.give("usr/bin/link", 0o777, 3, 4)
        assert builder.give("var/mail", 0o2775, 0, 8)
        assert not builder.give("nothing", 0o755, 0, 0)
        assert builder.move("usr/bin/su", "usr/bin/sudo")
        assert not builder.move("usr/bin/su", "usr/bin/other")
        image = builder.commit(
            "test",
            metadata={"ostree.bootable": True, "dolmen.sequence": 7, "version": "12.1"},
            subject="a subject",
            timestamp=1_700_000_000,
        )
    ostree = ["ostree", f"--repo={store_dir}/repo"]
    assert run([*ostree, "fsck"], timeout=60).ok
    listed = run([*ostree, "ls", "-R", "-X", "test"], timeout=60).stdout.decode()
    assert "-04755 0 0 " in listed
    assert "/usr/bin/sudo" in listed
    assert "d02775 0 8 " in listed
    assert "l00777 3 4 " in listed
    assert "security.capability" in listed
    shown = run([*ostree, "show", "test"], timeout=60).stdout.decode()
    assert "2023-11-14" in shown
    assert "a subject" in shown
    assert "Version: 12.1" in shown
    from gi.repository import Gio, OSTree

    repo = OSTree.Repo.new(Gio.File.new_for_path(f"{store_dir}/repo"))
    repo.open(None)
    metadata = repo.load_commit(image.commit)[1].get_child_value(0)
    assert metadata.lookup_value("dolmen.sequence", None).get_uint64() == 7
    assert not list(store.check(image.commit))


def test_a_checkout_says_what_links_cannot_have(store_dir: Path) -> None:
    store = Store.open(store_dir)
    with store.tree_builder() as builder:
        builder.add_file("plain", b"plain")
        builder.add_file("su", b"su", mode=0o755)
        builder.give("su", 0o4755, 0, 0)
        builder.add_directory("mail")
        builder.give("mail", 0o2775, 0, 8)
        wanted: Wanted = {}
        builder.checkout(store_dir / "tmp/tree", wanted=wanted)
        plain = builder.find("plain")
        assert plain is not None
        source = store_dir / "repo/objects"
        builder.commit()
    assert sorted(wanted) == ["mail", "su"]
    assert wanted["su"].permissions == 0o4755
    assert os.stat(store_dir / "tmp/tree/su").st_nlink == 1
    assert stat.S_IMODE(os.stat(store_dir / "tmp/tree/mail").st_mode) == 0o775
    linked = source / plain[:2] / f"{plain[2:]}.file"
    assert os.path.samefile(store_dir / "tmp/tree/plain", linked)
