"""A real system image: what is in its commit, and what its own programs say of it in a chroot."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.support.files import remove_tree
from tests.integration.system.conftest import BuiltSystem

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def listing(system_image: BuiltSystem) -> dict[str, str]:
    """ostree's own view of it: path -> mode, owner, attributes."""
    text = ostree(system_image, "ls", "-R", "-X", system_image.commit)
    found = {}
    for line in text.splitlines():
        name = line.partition(" -> ")[0].rpartition("} ")[2] or line.split()[-1]
        found[name] = line
    return found


@pytest.fixture(scope="module")
def chroot(system_image: BuiltSystem) -> Iterator[Path]:
    """The commit as a machine sees it, with /var as tmpfiles makes it."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else system_image.repository.parent / "tmp"
    scratch = Path(tempfile.mkdtemp(prefix="dolmen-chroot-", dir=place))
    directory = scratch / "tree"
    ostree(system_image, "checkout", system_image.commit, str(directory))
    # libostree does this when it deploys
    shutil.copytree(directory / "usr/etc", directory / "etc", symlinks=True)
    inside(directory, "systemd-tmpfiles --create 2>/dev/null; true")
    yield directory
    remove_tree(scratch)


def ostree(system: BuiltSystem, *arguments: str) -> str:
    argv = ["ostree", f"--repo={system.repository}", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(tree: Path, script: str) -> str:
    argv = ["bwrap", "--bind", str(tree), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs"]
    argv += ["/run", "--tmpfs", "/tmp", "--unshare-pid", "--unshare-net", "sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_owners_modes_and_special_bits_are_true(listing: dict[str, str]) -> None:
    assert listing["/usr/bin/su"].startswith("-04755 0 0 ")
    assert listing["/usr/etc/shadow"].startswith("-00640 0 42 ")
    agent = listing["/usr/bin/ssh-agent"].split()
    assert agent[0] == "-02755"
    assert int(agent[2]) >= 100


def test_the_commit_says_what_it_is(system_image: BuiltSystem) -> None:
    def value(key: str) -> str:
        return ostree(system_image, "show", f"--print-metadata-key={key}", system_image.commit)

    assert system_image.kernel in value("ostree.linux")
    assert "true" in value("ostree.bootable")
    assert "amd64" in value("dolmen.architecture") or "arm64" in value("dolmen.architecture")
    assert system_image.key in value("dolmen.key")
    refs = ostree(system_image, "refs")
    assert f"system/{system_image.key}" in refs.split()


def test_all_rules_hold_and_building_again_is_no_work(system_image: BuiltSystem) -> None:
    assert system_image.dolmen.json("system", "lint")["findings"] == []
    again = system_image.dolmen.json("system", "build")
    assert again["commit"] == system_image.commit


def test_the_package_database_is_truthful(system_image: BuiltSystem, chroot: Path) -> None:
    lock = (system_image.directory / "dolmen.lock").read_text()
    count = lock.count("\nPackage: ")
    assert inside(chroot, "dpkg -l | grep -c '^ii'").strip() == str(count)
    assert inside(chroot, "dpkg -V; dpkg --audit") == ""
    kernel = f"/usr/lib/modules/{system_image.kernel}/vmlinuz"
    assert inside(chroot, f"dpkg -S {kernel}").startswith("linux-image-")
    assert "status" in inside(chroot, "apt-cache policy")


def test_its_programs_are_content(chroot: Path) -> None:
    numbers = inside(chroot, "cat /etc/passwd /etc/group")
    inside(chroot, "systemd-sysusers 2>/dev/null")
    assert inside(chroot, "cat /etc/passwd /etc/group") == numbers
    inside(chroot, "ssh-keygen -A >/dev/null && mkdir -p /run/sshd && sshd -t")
    assert inside(chroot, "dolmen --version").startswith("dolmen ")
    assert inside(chroot, "stat -c %U:%a /home/ada").strip() == "ada:700"
    assert "ada" in inside(chroot, "id -un 1000")
    assert inside(chroot, "cat /usr/lib/dolmen/authorized-keys/ada").startswith("ssh-ed25519 ")


def test_an_environment_is_not_made_of_it(system_image: BuiltSystem) -> None:
    refused = system_image.dolmen("sync", "--json")
    assert refused.returncode == 3
    assert b"is-a-system" in refused.stdout + refused.stderr
