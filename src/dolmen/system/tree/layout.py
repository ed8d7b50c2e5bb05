"""The top of a deployment: /usr and links into it, /etc as /usr/etc, the rest empty or in /var."""

from __future__ import annotations

import stat

from dolmen.store.package import ALIASED
from dolmen.system.tree.construction import Construction
from dolmen.system.tree.variable import FACTORY, quoted_path

#: Directories that are there, and empty.
EMPTY = ("boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var")
#: Top-level name -> where the machine has it, and with which mode.
MOVED = {
    "home": ("var/home", 0o755),
    "root": ("var/roothome", 0o700),
    "srv": ("var/srv", 0o755),
    "mnt": ("var/mnt", 0o755),
    "media": ("var/media", 0o755),
    "opt": ("var/opt", 0o755),
}
LOCAL = "var/usrlocal"


def arrange(work: Construction) -> None:
    """Make everything at the top what it is in a deployment; before /var is emptied."""
    for name, (target, mode) in MOVED.items():
        _into_var(work, name, target, mode)
        work.builder.add_symlink(name, target)
        # Packages' own lines want directories there; the first line for a path holds.
        work.tmpfiles[f"/{name}"] = f"L /{name} - - - - {target}"
    _into_var(work, "usr/local", LOCAL, 0o755)
    work.builder.add_symlink("usr/local", f"../{LOCAL}")


def close(work: Construction) -> None:
    """Move /etc away, and leave nothing at the top that does not belong there."""
    work.builder.move("etc", "usr/etc")
    for name in EMPTY:
        work.builder.remove(name)
        work.builder.add_directory(name, 0o1777 if name == "tmp" else 0o755)
    work.builder.add_symlink("ostree", "sysroot/ostree")
    known = {*EMPTY, *MOVED, "usr", "ostree"}
    for name in work.names(""):
        if name not in known and name not in ALIASED:
            work.builder.remove(name)


def _into_var(work: Construction, name: str, target: str, mode: int) -> None:
    """Content of a directory that the machine keeps in /var.

    Directories are made there; of /opt, which packages fill, whole trees stay below /usr/lib/opt
    and are linked; files are seeded.
    """
    work.tmpfiles[f"/{target}"] = f"d /{target} {mode:04o} root root -"
    if name == "opt":
        for child in work.names(name):
            work.builder.move(f"opt/{child}", f"usr/lib/opt/{child}")
            line = f"L {quoted_path(f'/var/opt/{child}')} - - - - ../../usr/lib/opt/{child}"
            work.tmpfiles[f"/var/opt/{child}"] = line
        work.builder.remove(name)
        return
    for path, found in list(work.builder.walk(name)):
        there = f"{target}{path[len(name) :]}"
        where = quoted_path(f"/{there}")
        if stat.S_ISDIR(found.mode):
            line = f"d {where} {found.permissions:04o} {found.uid} {found.gid} -"
        elif stat.S_ISLNK(found.mode):
            link = work.builder.link_target(work.builder.find(path) or "")
            line = f"L {where} - - - - {link}"
        else:
            work.builder.move(path, f"{FACTORY}/{there}")
            line = f"C {where} - - - - /{FACTORY}/{there}"
        work.tmpfiles[f"/{there}"] = line
    work.builder.remove(name)
