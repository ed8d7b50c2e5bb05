"""Fifteen rules: a finished tree keeps them all, and each change below breaks exactly one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dolmen.store import Store
from dolmen.system.lint import RULES, lint
from dolmen.system.tree.construction import Construction
from tests.lib import systems
from tests.lib.systems import KVER

Change = Callable[[Construction], object]
ADMIN = "usr/lib/sysimage/dpkg"
UNITS = "usr/lib/systemd/system"


def without(path: str) -> Change:
    return lambda work: work.builder.remove(path)


def file(path: str, text: str = "") -> Change:
    return lambda work: work.write(path, text)


def link(path: str, target: str) -> Change:
    return lambda work: work.builder.add_symlink(path, target)


def edit(path: str, old: str, new: str) -> Change:
    def change(work: Construction) -> None:
        text = work.text(path)
        assert old in text
        work.rewrite(path, text.replace(old, new))

    return change


TMPFILES = "usr/lib/tmpfiles.d/00-dolmen.conf"
BREAKS: tuple[tuple[str, Change], ...] = (
    ("dpkg-database", without(f"{ADMIN}/status")),
    ("dpkg-database", without(f"{ADMIN}/info/base-files.list")),
    ("dpkg-database", edit(f"{ADMIN}/status", "install ok installed", "install ok unpacked")),
    ("dpkg-database", edit(TMPFILES, f"../../{ADMIN}", f"/{ADMIN}")),
    ("package-state", edit(TMPFILES, "L+ /var/lib/ucf", "d /var/lib/ucf")),
    ("package-state", without("usr/lib/sysimage/debconf")),
    ("var-tmpfiles", file("var/lib/app/state")),
    ("var-tmpfiles", edit(TMPFILES, "/var/log/apt", "/var/log/apt-")),
    ("var-tmpfiles", without("usr/share/factory/var/www/html/index.html")),
    ("accounts", edit("usr/etc/group", "_ssh:x:103:", "_ssh:x:104:")),
    ("accounts", edit("usr/lib/sysusers.d/00-dolmen.conf", "g _ssh 103", "g _ssh -")),
    ("accounts", lambda work: work.builder.give("usr/bin/su", 0o755, 4242, 0)),
    ("first-boot", file("usr/etc/machine-id", "uninitialized\n")),
    ("first-boot", edit("usr/lib/systemd/system-preset/00-dolmen.preset", "disable *\n", "")),
    ("unit-links", link("usr/etc/systemd/system/x.target.wants/ssh.service", "/lib/x")),
    ("unit-links", link(f"{UNITS}/multi-user.target.requires/gone.service", "../gone.service")),
    ("secrets", file("usr/etc/ssh/ssh_host_rsa_key", "a key")),
    ("secrets", file("usr/etc/ssl/private/x.pem", "-----BEGIN PRIVATE KEY-----\n")),
    ("secrets", file("usr/lib/sysimage/debconf/passwords.dat", "secret")),
    ("kernel", file("boot/vmlinuz", "kernel")),
    ("kernel", link("vmlinuz", "boot/vmlinuz")),
    ("initramfs", file(f"usr/lib/modules/{KVER}/initramfs.img", "070701 without")),
    ("initramfs", without(f"usr/lib/modules/{KVER}/initramfs.img")),
    ("addresses", file("usr/lib/dolmen/kargs", "quiet root=/dev/sda1\n")),
    ("addresses", file("usr/lib/ostree/prepare-root.conf", "[sysroot]\nbootprefix=true\n")),
    ("boot-loader", without("usr/lib/dolmen/boot-menu")),
    ("boot-loader", without(f"{UNITS}/ostree-finalize-staged.service.d")),
    (
        "boot-space",
        file("usr/share/dolmen/dolmen.toml", '[system.disk]\nboot-size = "1M"\n'),
    ),
    ("etc", file("usr/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")),
    ("etc", without("usr/etc/issue")),
    ("etc", file("usr/etc/resolv.conf", "nameserver 192.0.2.1\n")),
    ("top-level", without("srv")),
    ("top-level", link("home", "/home2")),
    ("top-level", without("mnt")),
    ("top-level", lambda work: work.builder.add_directory("lost+found")),
    ("leftovers", file("usr/sbin/policy-rc.d", "#!/bin/sh\n")),
    ("leftovers", file("usr/etc/x.dpkg-new")),
    ("leftovers", file("tmp/x")),
    ("leftovers", without(f"{UNITS}/ostree-finalize-staged.service")),
)


@pytest.fixture
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


def test_there_are_fifteen_and_each_is_broken_below() -> None:
    assert sorted(rule.number for rule in RULES.values()) == list(range(1, 16))
    assert {name for name, _ in BREAKS} == set(RULES)


def test_a_finished_tree_keeps_all(store: Store) -> None:
    with systems.construction(store) as work:
        systems.finish(work, store)
        commit = systems.committed(work)
    assert lint(store, commit) == ()


@pytest.mark.parametrize(
    ("name", "change"), BREAKS, ids=[f"{i}-{name}" for i, (name, _) in enumerate(BREAKS)]
)
def test_each_change_breaks_its_rule_and_no_other(store: Store, name: str, change: Change) -> None:
    with systems.construction(store) as work:
        systems.finish(work, store)
        change(work)
        commit = systems.committed(work)
    assert {finding.rule for finding in lint(store, commit)} == {name}


def test_two_kernels_and_none(store: Store) -> None:
    with systems.construction(store) as work:
        systems.finish(work, store)
        modules = "usr/lib/modules"
        work.write(f"{modules}/6.2.0/vmlinuz", "another")
        work.write(f"{modules}/6.2.0/initramfs.img", systems.INITRAMFS.decode() + "/6.2.0/")
        commit = systems.committed(work)
    assert "kernel" in {finding.rule for finding in lint(store, commit)}
