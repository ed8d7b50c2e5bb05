"""Names, places, users, units and changed files of an ordinary Debian."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dolmen.model import system
from dolmen.model.installed import Installed
from dolmen.model.system import PEOPLE, User
from dolmen.support.errors import DeclarationError
from dolmen.system.adoption.found import Adopted, Placed

_UNITS = "etc/systemd/system"
_HELPER = "var/lib/systemd/deb-systemd-helper-enabled"
_LARGEST = 1 << 20
#: Made by the image's build from what the manifest says, or this machine's own.
_NOT_PLACED = frozenset(
    {
        *("/etc/hostname", "/etc/hosts", "/etc/fstab", "/etc/machine-id", "/etc/locale.gen"),
        *("/etc/default/grub", "/etc/default/locale", "/etc/timezone", "/etc/resolv.conf"),
        *("/etc/apt/sources.list", "/etc/initramfs-tools/initramfs.conf"),
    }
)


def read_names(found: Adopted) -> None:
    """Suite, host name, locale, time zone, kernel arguments, target."""
    root = found.root
    release = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)', _text(root / "etc/os-release"), re.M))
    found.suite = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not found.suite:
        raise DeclarationError(
            f"{root} is no Debian that could be adopted",
            reason="not-debian",
            context=f"{root}/etc/os-release says {release.get('PRETTY_NAME', 'nothing')[:80]}",
            hint="dolmen system adopt --root=DIR",
        )
    found.hostname = _text(root / "etc/hostname").strip().lower()
    if not system.HOSTNAME.fullmatch(found.hostname):
        found.hostname = "debian"
    for name in ("etc/locale.conf", "etc/default/locale"):
        match = re.search(r'^LANG="?([^"\s]+)', _text(root / name), re.M)
        if match and system.LOCALE.fullmatch(match[1]):
            found.locale = match[1]
    lines = re.findall(r"^\s*([A-Za-z][^\s#]*)\s+\S+\s*$", _text(root / "etc/locale.gen"), re.M)
    found.locales = tuple(sorted({word for word in lines if system.LOCALE.fullmatch(word)}))
    found.timezone = _timezone(root)
    words: list[str] = []
    for key in ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"):
        match = re.search(rf'^{key}="([^"]*)"', _text(root / "etc/default/grub"), re.M)
        words += match[1].split() if match else []
    found.arguments = tuple(
        word
        for word in words
        if system.ARGUMENT.fullmatch(word) and not word.startswith(("root=", "ostree="))
    )
    target = _link(root / _UNITS / "default.target")
    if target is not None and system.TARGET.fullmatch(target.rpartition("/")[2]):
        found.target = target.rpartition("/")[2]


def read_units(found: Adopted) -> None:
    """Units that an administrator enabled, disabled or masked: what differs from what packages
    did, which deb-systemd-helper(1p) wrote down; and units that are nobody's but his."""
    root = found.root
    links = dict(_links(root / _UNITS))
    known = {name for name, _ in _files(root / _HELPER)}
    for name, target in sorted(links.items()):
        unit = name.rpartition("/")[2]
        if target == "/dev/null":
            if "/" not in name and system.UNIT.fullmatch(unit):
                found.mask.append(unit)
        elif "/" in name and name not in known and system.UNIT.fullmatch(unit):
            found.enable.append(unit)
    for name in sorted(known):
        unit = name.rpartition("/")[2]
        if ".wants/" in name and name not in links and system.UNIT.fullmatch(unit):
            found.disable.append(unit)
    found.enable = sorted(set(found.enable) - set(found.mask))
    found.disable = sorted(set(found.disable) - set(found.enable) - set(found.mask))
    for name, path in _files(root / _UNITS):
        if _small(path):
            found.files.append(Placed(f"/{_UNITS}/{name}", path.read_bytes(), 0o644))


def read_users(found: Adopted) -> None:
    """People's accounts; their passwords stay where they are."""
    root = found.root
    groups: dict[str, list[str]] = {}
    for row in _rows(root / "etc/group"):
        for member in row[3].split(",") if len(row) > 3 and row[3] else ():
            groups.setdefault(member, []).append(row[0])
    hashed = {row[0] for row in _rows(root / "etc/shadow") if row[1:2] and row[1][:1] == "$"}
    for row in _rows(root / "etc/passwd"):
        if len(row) < 7 or not row[2].isdecimal() or int(row[2]) not in PEOPLE:
            continue
        name, _, uid, _, comment, home, shell = row[:7]
        if not system.USER.fullmatch(name):
            found.notes.append(f"the user {name!r} has a name that cannot be declared")
            continue
        keys = _text(root / home.lstrip("/") / ".ssh/authorized_keys").splitlines()
        found.users.append(
            User(
                name=name,
                uid=int(uid),
                groups=tuple(g for g in sorted(groups.get(name, ())) if system.USER.fullmatch(g)),
                shell=shell if system.ABSOLUTE.fullmatch(shell) else "/bin/bash",
                comment=comment.rstrip(",") if system.COMMENT.fullmatch(comment) else "",
                home=home if home not in (f"/home/{name}", "") else "",
                ssh_keys=tuple(key for key in keys if system.SSH_KEY.fullmatch(key)),
            )
        )
        if name in hashed:
            found.notes.append(
                f"the user {name} has a password: mkpasswd --method=yescrypt makes a hash of one"
            )


def read_changed(found: Adopted, packages: Mapping[tuple[str, str], Installed]) -> None:
    """Conffiles that are not as they were shipped become placed files."""
    root = found.root
    owners = _owners(root)
    for package in packages.values():
        for name, shipped in sorted(package.conffiles.items()):
            path = root / name.lstrip("/")
            if name in _NOT_PLACED or name.startswith("/etc/apt/sources.list.d/"):
                continue
            try:
                status = path.lstat()
            except OSError:
                found.notes.append(f"{name} of {package.name} was removed here")
                continue
            if not stat.S_ISREG(status.st_mode) or not system.ABSOLUTE.fullmatch(name):
                if not stat.S_ISREG(status.st_mode):
                    found.notes.append(f"{name} of {package.name} is no plain file any more")
                continue
            if not _small(path):
                found.notes.append(f"{name} of {package.name} is too large, or cannot be read")
                continue
            content = path.read_bytes()
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != shipped:
                owner, group = owners(status)
                mode = stat.S_IMODE(status.st_mode)
                found.files.append(Placed(name, content, mode & 0o7777, owner, group))


def _owners(root: Path) -> Callable[[os.stat_result], tuple[str, str]]:
    users = {row[2]: row[0] for row in _rows(root / "etc/passwd") if len(row) > 2}
    groups = {row[2]: row[0] for row in _rows(root / "etc/group") if len(row) > 2}

    def of(status: os.stat_result) -> tuple[str, str]:
        return (
            users.get(str(status.st_uid), "root"),
            groups.get(str(status.st_gid), "root"),
        )

    return of


def _timezone(root: Path) -> str:
    target = _link(root / "etc/localtime") or ""
    zone = target.partition("/zoneinfo/")[2] or _text(root / "etc/timezone").strip()
    return zone if system.TIMEZONE.fullmatch(zone) else ""


def _rows(path: Path) -> Iterator[list[str]]:
    for line in _text(path).splitlines():
        if line and not line.startswith("#"):
            yield line.split(":")


def _links(directory: Path) -> Iterator[tuple[str, str]]:
    for path in _walk(directory):
        target = _link(path)
        if target is not None:
            yield str(path.relative_to(directory)), target


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in _walk(directory):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(directory)), path


def _walk(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*")) if directory.is_dir() else []


def _link(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _small(path: Path) -> bool:
    return os.access(path, os.R_OK) and path.stat().st_size <= _LARGEST


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
