"""The boot loader's bytes, its menu, and the state it shares with the machine."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from dolmen.support.errors import HostError
from dolmen.system.boot import BootEntry, arguments, embed, machine_files, menu, read_entries
from dolmen.system.boot import environment as grubenv
from dolmen.system.boot.booted import booted_deployment, complete
from dolmen.system.boot.generating import generate, settle
from dolmen.system.boot.state import mark_good, read_state, start_once, start_trial

OLD, NEW = "a" * 64 + ".0", "b" * 64 + ".0"


def entry(index: int, deployment: str = "", **changes: str) -> BootEntry:
    fields = {
        "title": f"Debian {index}",
        "version": str(9 - index),
        "linux": "/ostree/debian-c/vmlinuz",
        "initrd": "/ostree/debian-c/initramfs.img",
        "options": f"root=UUID=x rw ostree=/ostree/boot.1/debian/c/{index}",
    }
    fields.update(changes)
    return BootEntry(**fields, index=index, deployment=deployment)


# --- sector 0 and core.img -----------------------------------------------------------------------


def test_core_and_boot_sector_find_each_other() -> None:
    boot_img = bytes(510) + b"\x55\xaa"
    code, core = embed(boot_img, bytes(3 * 512 + 7), 2048)
    assert len(code) == 440
    assert struct.unpack_from("<Q", code, 0x5C) == (2048,)
    assert len(core) == 4 * 512
    assert struct.unpack_from("<QHH", core, 500) == (2049, 3, 0x820)


def test_other_bytes_are_not_taken_for_grub() -> None:
    embed(bytes(510) + b"\x55\xaa", bytes(1024), 34)
    for boot_img, core_img in ((bytes(512), bytes(1024)), (bytes(510) + b"\x55\xaa", b"")):
        with pytest.raises(HostError) as caught:
            embed(boot_img, core_img, 34)
        assert caught.value.reason == "boot-loader-unusable"


# --- the menu ------------------------------------------------------------------------------------


def test_the_kernel_splits_at_blanks_outside_of_quotes() -> None:
    line = 'rw  foo="a b" "bar=c d" quiet'
    assert arguments(line) == ["rw", "foo=a b", "bar=c d", "quiet"]


def test_the_first_entry_starts_and_the_second_is_the_way_back() -> None:
    text = menu([entry(1, OLD), entry(0, NEW)])
    assert text.index(f"--id 'system-{NEW}'") < text.index(f"--id 'system-{OLD}'")
    assert f"set dolmen_first='{NEW}'\nset dolmen_second='{OLD}'\nset fallback=1\n" in text
    assert text.endswith("\nset dolmen_menu=whole\n")


def test_the_way_back_is_an_entry_that_worked() -> None:
    third = "d" * 64 + ".0"
    text = menu([entry(0, NEW), entry(1, third), entry(2, OLD)], good=[OLD])
    assert f"set dolmen_second='{OLD}'\nset fallback=2\n" in text


def test_titles_and_arguments_cannot_leave_their_quotes() -> None:
    evil = "x' { reboot }\n$(y)"
    text = menu([entry(0, NEW, title=evil, options="a='b;reboot $prefix")])
    assert "'x'\\'' { reboot }$(y)'" in text
    assert "'a='\\''b;reboot' '$prefix'" in text


def test_no_entries_make_a_menu_that_is_whole() -> None:
    assert menu([]).endswith(
        "set dolmen_first=''\nset dolmen_second=''\nset fallback=\nset dolmen_menu=whole\n"
    )


# --- the environment block -----------------------------------------------------------------------


def test_the_block_is_overwritten_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "grubenv"
    path.write_bytes(grubenv.block({"dolmen_timeout": "1"}))
    inode = path.stat().st_ino
    grubenv.change(path, dolmen_trial=NEW, dolmen_left="3")
    grubenv.change(path, dolmen_left=None, dolmen_odd="a\\b")
    assert path.stat().st_ino == inode
    assert path.stat().st_size == grubenv.SIZE
    assert grubenv.read(path) == {
        "dolmen_timeout": "1",
        "dolmen_trial": NEW,
        "dolmen_odd": "a\\b",
    }


def test_a_full_block_is_refused_and_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "grubenv"
    grubenv.change(path, small="x")
    with pytest.raises(HostError) as caught:
        grubenv.change(path, large="x" * 1000)
    assert caught.value.reason == "boot-state-full"
    assert grubenv.read(path) == {"small": "x"}


def test_a_damaged_block_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "grubenv"
    path.write_bytes(b"\xff\x00garbage=\xfe\n" + b"#" * 30)
    grubenv.change(path, dolmen_once=OLD)
    assert grubenv.read(path)["dolmen_once"] == OLD


# --- trials --------------------------------------------------------------------------------------


def sysroot(root: Path, loader: str, *deployments: str) -> Path:
    """A sysroot with these deployments, the first of them first in the menu of `loader`."""
    version = loader[-1]
    entries = root / "boot" / loader / "entries"
    entries.mkdir(parents=True)
    (root / "boot/grub").mkdir(exist_ok=True)
    (root / "boot/grub/grubenv").write_bytes(grubenv.block({}))
    for serial, name in enumerate(deployments):
        place = root / "ostree/deploy/debian/deploy" / name
        place.mkdir(parents=True, exist_ok=True)
        link = root / f"ostree/boot.{version}/debian/c/{serial}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../deploy/debian/deploy/{name}")
        (entries / f"any-{serial}.conf").write_text(
            f"title Debian ({serial})\nversion {len(deployments) - serial}\n"
            "linux /ostree/debian-c/vmlinuz\ninitrd /ostree/debian-c/initramfs.img\n"
            f"options rw ostree=/ostree/boot.{version}/debian/c/{serial}\n"
        )
    return root


def test_entries_are_known_by_what_they_say(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.1", NEW, OLD)
    found = read_entries(root / "boot/loader.1", root)
    assert [item.deployment for item in found] == [NEW, OLD]
    assert [item.index for item in found] == [0, 1]


def test_a_new_entry_is_on_trial_until_it_has_worked(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.1", NEW, OLD)
    generate(root / "boot/loader.1/grub.cfg")
    state = read_state(root / "boot")
    assert (state.trial, state.left, state.failed) == (NEW, 3, "")
    mark_good(root / "boot", OLD)
    assert read_state(root / "boot").trial == NEW
    mark_good(root / "boot", NEW)
    state = read_state(root / "boot")
    assert (state.trial, state.good) == ("", (NEW, OLD))
    generate(root / "boot/loader.1/grub.cfg")
    assert read_state(root / "boot").trial == ""


def test_the_image_says_how_many_tries_there_are(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.0", NEW)
    place = root / "ostree/deploy/debian/deploy" / NEW / "usr/lib/dolmen"
    place.mkdir(parents=True)
    (place / "boot-tries").write_text("7\n")
    generate(root / "boot/loader.0/grub.cfg")
    assert read_state(root / "boot").left == 7


def test_a_trial_that_is_counted_already_is_not_counted_anew(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.0", NEW, OLD)
    start_trial(root / "boot", NEW)
    grubenv.change(root / "boot/grub/grubenv", dolmen_left="0")
    generate(root / "boot/loader.0/grub.cfg")
    assert read_state(root / "boot").failed == NEW


def test_the_old_link_outlives_its_replacement(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.0", OLD)
    (root / "boot/loader").symlink_to("loader.0")
    inode = (root / "boot/loader").lstat().st_ino
    generate(root / "boot/loader.0/grub.cfg")
    (root / "boot/loader.tmp").symlink_to("loader.1")
    (root / "boot/loader.tmp").rename(root / "boot/loader")
    assert (root / "boot/loader.kept").lstat().st_ino == inode
    assert os.readlink(root / "boot/loader.kept") == "loader.0"


def test_settling_mends_a_menu_that_libostree_left_as_it_was(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.0", NEW, OLD)
    (root / "boot/loader").symlink_to("loader.0")
    (root / "boot/loader.0/grub.cfg").write_text(menu([entry(0, OLD)]))
    assert settle(root) is True
    assert f"set dolmen_first='{NEW}'" in (root / "boot/loader.0/grub.cfg").read_text()
    assert read_state(root / "boot").trial == NEW
    assert settle(root) is False


def test_one_start_can_be_asked_for_and_recalled(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.0", NEW, OLD)
    start_once(root / "boot", OLD)
    assert read_state(root / "boot").once == OLD
    start_once(root / "boot", "")
    assert read_state(root / "boot").once == ""


def test_the_fallen_back_system_says_so(tmp_path: Path) -> None:
    root = sysroot(tmp_path, "loader.1", NEW, OLD)
    (root / "proc").mkdir()
    (root / "run").mkdir()
    (root / "proc/cmdline").write_text("rw ostree=/ostree/boot.1/debian/c/1")
    assert booted_deployment(root) == OLD
    assert complete(root) == ()
    grubenv.change(root / "boot/grub/grubenv", dolmen_trial=NEW, dolmen_left="0")
    (line,) = complete(root)
    assert NEW[:12] in line
    assert NEW[:12] in (root / "run/motd.d/dolmen-boot").read_text()
    (root / "proc/cmdline").write_text("rw ostree=/ostree/boot.1/debian/c/0")
    assert complete(root) == ()
    assert read_state(root / "boot").failed == ""


# --- what images carry ---------------------------------------------------------------------------


def test_links_lead_to_units_that_are_there_and_programs_may_run() -> None:
    placed = {item.path: item for item in machine_files(target="graphical.target", tries=5)}
    for path, item in placed.items():
        if item.target:
            unit = path.rsplit("/", 2)[0] + "/" + item.target.removeprefix("../")
            assert unit in placed, path
        else:
            assert item.content, path
            assert (item.mode == 0o755) == item.content.startswith(b"#!"), path
    assert placed["usr/lib/dolmen/boot-tries"].content == b"5\n"
    done = placed["usr/lib/systemd/system/dolmen-boot-complete.service"].content
    assert b"After=graphical.target" in done
    assert b"multi-user" not in done


def test_only_a_volatile_image_forgets() -> None:
    plain = {item.path for item in machine_files()}
    assert not [path for path in plain if "volatile" in path]
    state = {item.path: item for item in machine_files(volatile="state", keep=["/home"])}
    assert state["usr/lib/dolmen/volatile"].content == b"/home\n"
    assert any(path.endswith("98dolmen-volatile/module-setup.sh") for path in state)
    every = {item.path: item for item in machine_files(volatile="yes", keep=["/home"])}
    assert every["usr/lib/dolmen/volatile"].content == b""
