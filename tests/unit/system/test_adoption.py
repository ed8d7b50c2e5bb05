"""From an ordinary Debian's files to a manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dolmen.model import parse_manifest
from dolmen.support.errors import DeclarationError
from dolmen.system.adoption.writing import adopt

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDolmenDolmenDolmenDolmenDolmenDolmenDol ada@home"
SHIPPED = b"as shipped\n"


def put(root: Path, name: str, content: str | bytes = "", mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def link(root: Path, name: str, target: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def stanza(name: str, *lines: str) -> str:
    fields = "".join(f"{line}\n" for line in lines)
    head = f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
    return f"{head}Version: 1\n{fields}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small Debian with a history."""
    root = tmp_path / "root"
    put(root, "etc/os-release", 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian"\n')
    md5 = hashlib.md5(SHIPPED, usedforsecurity=False).hexdigest()
    conffiles = "Conffiles:"
    for name in ("changed", "same", "gone", "secret"):
        conffiles += f"\n /etc/web/{name} {md5}"
    status = stanza("dpkg", "Essential: yes", "Priority: required")
    status += stanza("nginx", "Depends: libnginx (>= 1)", conffiles)
    status += stanza("libnginx") + stanza("chosen") + stanza("cron", "Priority: important")
    status += stanza("grub-pc") + stanza("linux-image-cloud-amd64") + stanza("systemd")
    put(root, "var/lib/dpkg/status", status)
    put(root, "var/lib/dpkg/arch", "amd64\ni386\n")
    put(
        root,
        "var/lib/apt/extended_states",
        "Package: libnginx\nArchitecture: amd64\nAuto-Installed: 1\n",
    )
    put(root, "etc/web/changed", "mine\n", 0o640)
    put(root, "etc/web/same", SHIPPED)
    put(root, "etc/web/secret", "hidden\n", 0o600)
    put(root, "etc/apt/keys/other.asc", "a key")
    put(
        root,
        "etc/apt/sources.list",
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://deb.example/debian bookworm main contrib\n"
        "deb [signed-by=/etc/apt/keys/other.asc] https://other.example/apt stable main\n"
        "deb http://flat.example ./\n",
    )
    put(root, "etc/hostname", "Web-1\n")
    put(root, "etc/default/locale", 'LANG="de_DE.UTF-8"\n')
    put(root, "etc/locale.gen", "# en_US.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n")
    link(root, "etc/localtime", "/usr/share/zoneinfo/Europe/Berlin")
    put(root, "etc/default/grub", 'GRUB_CMDLINE_LINUX="console=ttyS0 root=/dev/x"\n')
    put(root, "etc/passwd", "root:x:0:0::/root:/bin/bash\nada:x:1000:1000:Ada L.,,,:/home/ada:\n")
    put(root, "etc/group", "sudo:x:27:ada\nada:x:1000:\n")
    put(root, "etc/shadow", "ada:$y$j9T$abc$def:19000:0:99999:7:::\n", 0o600)
    put(root, "home/ada/.ssh/authorized_keys", f"# mine\n{KEY}\n")
    units, helper = "etc/systemd/system", "var/lib/systemd/deb-systemd-helper-enabled"
    for unit in ("nginx.service", "cron.service"):
        put(root, f"{helper}/multi-user.target.wants/{unit}")
    link(
        root, f"{units}/multi-user.target.wants/nginx.service", "/lib/systemd/system/nginx.service"
    )
    link(root, f"{units}/multi-user.target.wants/own.service", f"/{units}/own.service")
    link(root, f"{units}/apt-daily.timer", "/dev/null")
    link(root, f"{units}/default.target", "/lib/systemd/system/multi-user.target")
    put(root, f"{units}/own.service", "[Service]\nExecStart=/bin/true\n")
    return root


def test_what_was_chosen_is_declared(root: Path, tmp_path: Path) -> None:
    done = adopt(root, tmp_path / "machine")
    manifest = parse_manifest(done.manifest.read_text())
    assert manifest.suite == "bookworm"
    assert [str(spec) for spec in manifest.packages] == ["chosen", "cron", "nginx"]
    assert manifest.foreign_architectures == ("i386",)
    debian, other = manifest.sources
    assert (debian.suites, debian.components) == (("bookworm",), ("main", "contrib"))
    assert other.signed_by == "keys/other.asc"
    assert (tmp_path / "machine/keys/other.asc").read_text() == "a key"
    system = manifest.system
    assert system is not None
    assert (system.hostname, system.locale, system.timezone) == (
        "web-1",
        "de_DE.UTF-8",
        "Europe/Berlin",
    )
    assert system.locales == ("de_DE.UTF-8",)
    assert system.kernel == "linux-image-cloud-amd64"
    assert system.kernel_arguments == ("console=ttyS0",)
    assert system.default_target == "multi-user.target"
    assert (system.enable, system.disable, system.mask) == (
        ("own.service",),
        ("cron.service",),
        ("apt-daily.timer",),
    )


def test_people_come_with_their_keys_and_without_their_passwords(
    root: Path, tmp_path: Path
) -> None:
    done = adopt(root, tmp_path / "machine")
    system = parse_manifest(done.manifest.read_text()).system
    assert system is not None
    [ada] = system.users
    assert (ada.name, ada.uid, ada.groups, ada.ssh_keys) == ("ada", 1000, ("sudo",), (KEY,))
    assert ada.password == "!"
    assert "$y$" not in done.manifest.read_text()
    assert any("ada has a password" in note for note in done.notes)


def test_changed_files_are_placed_and_others_are_not(root: Path, tmp_path: Path) -> None:
    done = adopt(root, tmp_path / "machine")
    system = parse_manifest(done.manifest.read_text()).system
    assert system is not None
    placed = {one.path: one for one in system.files}
    assert set(placed) == {
        "/etc/systemd/system/own.service",
        "/etc/web/changed",
        "/etc/web/secret",
    }
    assert placed["/etc/web/changed"].mode == 0o640
    beside = tmp_path / "machine/files/etc/web"
    assert (beside / "changed").read_text() == "mine\n"
    assert (beside / "secret").stat().st_mode & 0o777 == 0o600
    assert any("/etc/web/gone" in note for note in done.notes)
    assert any("flat.example" in note for note in done.notes)


def test_nothing_is_overwritten_and_no_other_system_adopted(root: Path, tmp_path: Path) -> None:
    adopt(root, tmp_path / "machine")
    with pytest.raises(DeclarationError) as caught:
        adopt(root, tmp_path / "machine")
    assert caught.value.reason == "exists"
    put(root, "etc/os-release", "ID=fedora\nVERSION_CODENAME=x\n")
    with pytest.raises(DeclarationError) as caught:
        adopt(root, tmp_path / "other")
    assert caught.value.reason == "not-debian"


def test_without_marks_leaves_were_chosen(root: Path, tmp_path: Path) -> None:
    (root / "var/lib/apt/extended_states").unlink()
    assert adopt(root, tmp_path / "machine").packages == ("chosen", "cron", "nginx")
