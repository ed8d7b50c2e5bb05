"""A small root directory made of this host's own programs: no archive, no root, a second.

Enough of Debian to be entered and configured: sh, bash, coreutils, util-linux, mount, perl-base,
each with the libraries that ldd(1) names, and the files that the sandbox binds over.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from dolmen.sandbox import MOUNT_POINTS
from dolmen.support.run import CLEAN_ENVIRONMENT, run


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PROGRAMS = _words(
    "sh bash cat chmod chown cp date dd echo env false grep head hostname id install ln ls mkdir "
    "mkfifo mknod mount mv perl printf ps pwd readlink rm setpriv setsid sleep stat stty sync tail "
    "touch true truncate tty uname unshare wc"
)
_DIRECTORIES = _words(
    "boot dev etc home media mnt opt proc root run srv sys tmp usr/bin usr/lib usr/local/bin "
    "usr/sbin usr/src var/backups var/cache/empty/deep var/lib/data var/lib/empty var/log var/tmp"
)


def small_tree(tree: Path, programs: Iterable[str] = PROGRAMS) -> Path:
    """Fill the new directory `tree`; usrmerged like every Debian since bookworm."""
    for name in _DIRECTORIES:
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "usr/lib64").mkdir()
    (tree / "var/run").symlink_to("/run")
    for name in programs:
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        assert found is not None, f"this host has no {name}"
        source = Path(found).resolve()
        shutil.copy2(source, tree / "usr/bin" / name)
        _copy_libraries(source, tree)
    for directory in (*Path("/usr/lib").glob("*/perl-base"), Path("/usr/lib/locale/C.utf8")):
        shutil.copytree(directory, tree / str(directory).lstrip("/"), symlinks=True)
    for path, content in MOUNT_POINTS.items():
        (tree / path.lstrip("/")).write_text(content)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nimage:x:7:7::/:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\nimage:x:7:\n")
    (tree / "etc/canary").write_text("image\n")
    (tree / "var/lib/data/file").write_text("of the image\n")
    return tree


def _copy_libraries(program: Path, tree: Path) -> None:
    done = run(["ldd", str(program)], timeout=30, env=CLEAN_ENVIRONMENT)
    for found in re.findall(r"(/\S+) \(0x", done.stdout.decode()):
        path = Path(found)
        inside = path if path.parts[1] == "usr" else Path("/usr", *path.parts[1:])
        target = tree / str(inside).lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path.resolve(), target)


def give(tree: Path, uid: int, gid: int) -> None:
    """Make everything in a tree belong to somebody else."""
    for directory, names, files in os.walk(tree):
        for name in (".", *names, *files):
            os.lchown(os.path.join(directory, name), uid, gid)
