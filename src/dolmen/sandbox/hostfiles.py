"""What one caller's entry into an image needs, written once and bound by the launcher.

A directory with `passwd` and `group` (the image's, with the caller's own lines) and the seccomp
programs of this machine. It belongs to the caller: the launcher takes another owner's for a sign
that it runs for somebody else.
"""

from __future__ import annotations

import os
import pwd
from grp import getgrgid
from pathlib import Path

from dolmen.sandbox.seccomp import runtime_filter
from dolmen.support.files import write_atomic

FILTER, CONFINED_FILTER = "filter", "filter-confined"
#: A file with the time that all files of a realised tree have.
STAMP = "made"
#: Shells of an image, the best first.
_SHELLS = ("/bin/bash", "/bin/sh")


def host_files(directory: Path, tree: Path) -> None:
    """Write `passwd`, `group`, the filters and the stamp for the calling user into `directory`.

    Raises HostError ("unsupported-architecture"), OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    uid, gid = os.getuid(), os.getgid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        home = os.environ.get("HOME", "/")
        entry = pwd.struct_passwd((f"user{uid}", "x", uid, gid, "", home, "/bin/sh"))
    try:
        group = getgrgid(gid).gr_name
    except KeyError:
        group = entry.pw_name
    line = _line(
        entry.pw_name,
        "x",
        str(uid),
        str(gid),
        entry.pw_gecos,
        entry.pw_dir,
        image_shell(tree, entry.pw_shell),
    )
    passwd = _with(_read(tree / "etc/passwd"), entry.pw_name, str(uid), line)
    groups = _with(_read(tree / "etc/group"), group, str(gid), _line(group, "x", str(gid), ""))
    write_atomic(directory / "passwd", passwd)
    write_atomic(directory / "group", groups)
    write_atomic(directory / FILTER, runtime_filter())
    write_atomic(directory / CONFINED_FILTER, runtime_filter(confined=True))
    write_atomic(directory / STAMP, b"")
    os.utime(directory / STAMP, (0, 0))


def image_shell(tree: Path, wanted: str) -> str:
    """The shell to use in the image: `wanted` where it has that, else bash, else sh."""
    for shell in (wanted, *_SHELLS):
        path = tree / shell.lstrip("/")
        if shell.startswith("/") and (path.is_symlink() or path.is_file()):
            return shell
    return _SHELLS[-1]


def _line(*fields: str) -> str:
    return ":".join(field.replace(":", " ").replace("\n", " ") for field in fields)


def _with(text: str, name: str, number: str, line: str) -> str:
    """The table with `line` in place of entries that have its name or its number."""
    kept: list[str] = []
    placed = False
    for old in text.splitlines():
        fields = old.split(":")
        if fields[0] == name or (len(fields) > 2 and fields[2] == number):
            if not placed:
                kept.append(line)
            placed = True
        elif old:
            kept.append(old)
    if not placed:
        kept.append(line)
    return "\n".join(kept) + "\n"


def _read(path: Path) -> str:
    # O_NOFOLLOW: an image must not make us read a file of the host (CVE-2024-9675).
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(fd, encoding="utf-8", errors="replace") as stream:
        return stream.read(1 << 20)
