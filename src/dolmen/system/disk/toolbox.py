"""As much of an image as its grub-mkimage needs: a thousand links instead of twenty thousand.

Checking out a whole system and deleting it again takes longer than writing a disk.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store.objects import DirTree, Objects
from dolmen.support.errors import StoreError

#: What runs, and the shell that starts it.
_PROGRAMS = ("sh", "dash", "bash", "grub-mkimage")
#: Taken with everything below.
_WHOLE = ("usr/lib/grub", "usr/lib64")


def check_out_tools(objects: Objects, commit: Sha256, destination: Path) -> None:
    """Make `destination` of links to objects: GRUB, a shell, and the libraries beside the linker.

    Raises OSError, StoreError ("object-missing", "object-damaged").
    """
    top = objects.dirtree(objects.commit(commit).tree)
    destination.mkdir()
    for name in top.dirs:
        (destination / name).mkdir()
    _place(objects, top, destination, tuple(top.files))
    usr = _below(objects, top, "usr")
    place = destination / "usr"
    for name in ("bin", "lib"):
        (place / name).mkdir(exist_ok=True)
    _place(objects, _below(objects, usr, "bin"), place / "bin", _PROGRAMS)
    lib = _below(objects, usr, "lib")
    _place(objects, lib, place / "lib", tuple(lib.files))
    for name, (tree, _) in lib.dirs.items():
        if "-linux-gnu" in name:
            content = objects.dirtree(tree)
            (place / "lib" / name).mkdir()
            _place(objects, content, place / "lib" / name, tuple(content.files))
    for path in _WHOLE:
        parent, _, name = path.rpartition("/")
        found = top
        for part in parent.split("/"):
            found = _below(objects, found, part)
        if name in found.dirs:
            _everything(objects, found.dirs[name][0], destination / path)


def _below(objects: Objects, tree: DirTree, name: str) -> DirTree:
    found = tree.dirs.get(name)
    return objects.dirtree(found[0]) if found is not None else DirTree({}, {})


def _everything(objects: Objects, tree: str, place: Path) -> None:
    content = objects.dirtree(tree)
    place.mkdir(exist_ok=True)
    _place(objects, content, place, tuple(content.files))
    for name, (child, _) in content.dirs.items():
        _everything(objects, child, place / name)


def _place(objects: Objects, tree: DirTree, place: Path, names: tuple[str, ...]) -> None:
    for name in names:
        checksum = tree.files.get(name)
        if checksum is None:
            continue
        if stat.S_ISLNK(objects.mode(checksum)):
            os.symlink(objects.read_link(checksum), os.fsencode(place / name))
            continue
        source = objects.path(checksum, "file")
        try:
            os.link(source, place / name)
        except FileNotFoundError:
            raise StoreError(
                f"the store lacks the file object {checksum}",
                reason="object-missing",
                hint="see what else is missing: dolmen fsck",
            ) from None
        except OSError:
            # Too many links already, or another file system.
            (place / name).write_bytes(objects.read(checksum))
            (place / name).chmod(0o755)
