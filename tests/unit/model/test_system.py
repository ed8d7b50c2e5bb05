"""The [system] table: what it becomes, what it asks for, and what is refused with its line."""

from __future__ import annotations

import pytest

from dolmen.model import ReleaseFile, Sha256, parse_lock, parse_manifest, render_lock
from dolmen.model.system import System, User
from dolmen.support.errors import DeclarationError
from tests.lib import systems
from tests.unit.model.examples import MACHINE

HEAD = 'suite = "bookworm"\n'


def parsed(text: str) -> System:
    found = parse_manifest(HEAD + text).system
    assert found is not None
    return found


def test_a_whole_table() -> None:
    system = parsed(MACHINE)
    assert system.hostname == "web1"
    assert system.boot_tries == 2
    assert system.disk.size == 8 << 30
    assert system.update.sequence == 1_800_000_000
    alice, worker = system.users
    assert (alice.name, alice.uid, alice.groups) == ("alice", 1000, ("sudo",))
    assert (worker.system, worker.shell) == (True, "/usr/sbin/nologin")
    motd, key, link = system.files
    assert motd.text == "Welcome.\n"
    assert (key.source, key.mode, key.group) == ("files/key", 0o640, "worker")
    assert link.link == "key"


def test_defaults_are_a_machine() -> None:
    system = parsed("[system]\n")
    assert system == System()
    assert system.default_target == "multi-user.target"
    assert parse_manifest(HEAD).system is None


def test_what_is_asked_for_follows_what_is_declared() -> None:
    def names(system: System, architecture: str = "amd64") -> set[str]:
        return {spec.name for spec in system.requests(architecture)}

    plain = names(System())
    assert {"linux-image-amd64", "grub-pc-bin", "grub-efi-amd64-bin"} <= plain
    assert not plain & {"locales", "openssh-server", "sudo", "btrfs-progs", "tzdata"}
    assert "linux-image-arm64" in names(System(), "arm64")
    assert "grub-pc-bin" not in names(System(), "arm64")
    full = names(parsed(MACHINE))
    assert {"locales", "tzdata", "openssh-server", "sudo", "linux-image-cloud-amd64"} <= full
    assert "linux-image-amd64" not in full
    btrfs = parsed('[system]\n[system.disk]\nfilesystem = "btrfs"\n')
    assert "btrfs-progs" in names(btrfs)


def test_requests_are_part_of_what_a_lock_answers() -> None:
    plain = parse_manifest(HEAD)
    machine = parse_manifest(HEAD + "[system]\n")
    other = parse_manifest(HEAD + '[system]\nkernel = "linux-image-rt-amd64"\n')
    named = parse_manifest(HEAD + '[system]\nhostname = "other"\n')
    assert len({plain.inputs(), machine.inputs(), other.inputs()}) == 3
    assert machine.inputs() == named.inputs()
    asked = {spec.name for spec in machine.requests("amd64")}
    assert "systemd-sysv" in asked


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[system]\nhostname = "Not a name"\n', 3),
        ("[system]\nhostnam = 'x'\n", 3),
        ('[system]\nkernel-arguments = ["a b"]\n', 3),
        ('[system]\nenable = ["ssh"]\n', 3),
        ('[system]\nenable = ["a.service"]\nmask = ["a.service"]\n', 3),
        ('[system]\nvolatile = "sometimes"\n', 3),
        ('[system]\nkeep = ["/usr/bin"]\n', 3),
        ('[system.var]\n"/etc/x" = "seed"\n', 3),
        ('[system.var]\n"/var/x" = "burn"\n', 3),
        ("[[system.users]]\nuid = 1000\n", 2),
        ('[[system.users]]\nname = "alice"\nuid = 12\n', 4),
        ('[[system.users]]\nname = "alice"\npassword = "secret"\n', 4),
        ('[[system.users]]\nname = "a"\n[[system.users]]\nname = "a"\n', 5),
        ('[[system.users]]\nname = "a"\nssh-keys = ["not a key"]\n', 4),
        ('[[system.files]]\npath = "/etc/x"\n', 2),
        ('[[system.files]]\npath = "/etc/x"\ntext = ""\nlink = "y"\n', 2),
        ('[[system.files]]\npath = "/etc/../x"\ntext = ""\n', 3),
        ('[[system.files]]\npath = "/var/lib/dpkg/status"\ntext = ""\n', 3),
        ('[[system.files]]\npath = "/etc/x"\nsource = "../x"\n', 4),
        ('[[system.files]]\npath = "/etc/x"\ntext = ""\nmode = "999"\n', 5),
        ('[system.disk]\nsize = "8 G"\n', 3),
        ('[system.update]\nurl = "ftp://x"\n', 3),
    ],
)
def test_faults_are_told_with_their_lines(text: str, line: int) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_manifest(HEAD + text)
    assert caught.value.reason == "bad-manifest"
    assert any(detail.startswith(f"line {line}:") for detail in caught.value.details), (
        caught.value.details
    )


def test_a_password_is_a_hash_and_nobody_has_one_by_default() -> None:
    assert User("alice").password == "!"


def test_a_lock_keeps_numbers() -> None:
    release = ReleaseFile("http://localhost/debian", "bookworm", Sha256("1" * 64), "then")
    users = (("Debian-exim", 100), ("sshd", 101))
    lock = systems.lock(releases=(release,), users=users, groups=(("_ssh", 107), ("sshd", 108)))
    text = render_lock(lock)
    assert parse_lock(text).users == users
    assert parse_lock(text).groups == (("_ssh", 107), ("sshd", 108))
    assert parse_lock(text).digest() == systems.lock().digest()
    for bad in (" _ssh 108", " _ssh 0", " _ssh 70000", " _ssh", " -sshd 9", " sshd 107\n _ssh 107"):
        with pytest.raises(DeclarationError) as caught:
            parse_lock(text.replace(" _ssh 107", bad))
        assert caught.value.reason == "bad-lock"
