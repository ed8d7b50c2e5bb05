"""What an image has ready, taken over by a store that has not built it.

Initramfs, compiled locales and bytecode are functions of few inputs, made slowly, and kept in a
store under their digest. Where an image was pulled they lie in its tree, under inputs that its lock
names; so building it again with a layer makes none of them that the layer does not change. Its
packages are there too but for little, which the image carries (`tree/remainders.py`). The image's
maker is believed as far as the image is: it runs here, as root.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dolmen.image import bytecode
from dolmen.image.admin import info_name
from dolmen.model import Lock
from dolmen.store import Store
from dolmen.store.history.tree import Entry, Tree
from dolmen.store.sysroot import Sysroot
from dolmen.support.errors import StoreError
from dolmen.support.events import Emit, ignore
from dolmen.system import bytecode as own_bytecode
from dolmen.system import initramfs, locales
from dolmen.system.tree import ourselves
from dolmen.system.tree.database import ADMIN
from dolmen.system.tree.kernel import MODULES
from dolmen.system.tree.remainders import DIRECTORY as REMAINDERS

_PYC = re.compile(r"(/.*/)__pycache__/([^/]+)\.cpython-[^./]+\.pyc")


def program(tree: Tree) -> dict[str, bytes]:
    """The files of the Dolmen in an image, as `ourselves.running` has them; {} without one."""
    found = _find(tree, ourselves.PACKAGE)
    if found is None or not found.is_directory:
        return {}
    return {
        entry.path.removeprefix(f"/{ourselves.PACKAGE}/"): _content(tree, entry)
        for entry in sorted(tree.walk(found), key=lambda entry: entry.path)
        if entry.is_file and not entry.path.endswith(".pyc")
    }


def take_packages(
    sysroot: Sysroot, commit: str, lock: Lock, store: Store, *, emit: Emit = ignore
) -> None:
    """Take the packages of a lock over that an image has, so that their .debs are not fetched."""
    tree = Tree(sysroot.repository, commit)
    missing = (p.sha256 for p in lock.packages if not store.has_package(p.sha256))
    found = ((one, _file(tree, f"{REMAINDERS}/{one}", "").get("", b"")) for one in missing)
    there = [(one, data) for one, data in found if data]
    if there:
        store.restore_packages(there, sysroot.repository.path, emit=emit)


def take_over(tree: Tree, lock: Lock, store: Store) -> None:
    """Keep in a store what an image of this lock has ready, as far as the tree is here."""
    for ref, files in _ready(tree, lock, store):
        if files:
            with store.tree_builder() as builder:
                builder.keep(ref, files)
                builder.commit()


def _ready(tree: Tree, lock: Lock, store: Store) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """References of what the store lacks, with the files that belong there."""
    key = _text(tree, initramfs.KEY).strip()
    kernel = _kernel(tree)
    if key and kernel is not None and store.resolve(f"initramfs/{key}") is None:
        yield f"initramfs/{key}", _file(tree, f"{kernel}/{initramfs.NAME}", initramfs.NAME)
    ref = locales.reference(lock, _text(tree, "usr/etc/locale.gen").splitlines())
    if store.resolve(ref) is None:
        yield ref, _file(tree, locales.ARCHIVE, locales.NAME)
    own = own_bytecode.reference(lock, program(tree))
    if own is not None and store.resolve(own) is None:
        yield own, _compiled(tree, ourselves.PACKAGE)
    yield from _of_packages(tree, lock, store)


def _of_packages(tree: Tree, lock: Lock, store: Store) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """What scripts compiled: bytecode of a package's modules that is none of its files."""
    interpreter = bytecode.interpreter_key(lock)
    if interpreter is None:
        return
    compiled = _by_source(tree)
    for package in lock.packages:
        ref = bytecode.reference(package, interpreter)
        text = _text(tree, f"{ADMIN}/info/{info_name(package)}.list")
        listed = {f"/usr{p}" if p.startswith("/lib/") else p for p in text.split("\n")}
        modules = [path for path in listed if path in compiled]
        if modules and store.resolve(ref) is None:
            yield (
                ref,
                {
                    entry.path.lstrip("/"): _content(tree, entry)
                    for path in modules
                    for entry in compiled[path]
                    if entry.path not in listed
                },
            )


def _by_source(tree: Tree) -> dict[str, list[Entry]]:
    """Time-stamped .pyc files by the path of their source, as `bytecode.keep_new` knows them."""
    found: dict[str, list[Entry]] = {}
    for top in ("usr/lib", "usr/share"):
        for entry in _below(tree, top):
            match = _PYC.fullmatch(entry.path)
            if match is not None and _stamped(tree, entry):
                found.setdefault(f"{match[1]}{match[2]}.py", []).append(entry)
    return found


def _stamped(tree: Tree, entry: Entry) -> bool:
    head = next(tree.read(entry), b"")[:12]
    return head[4:12] == bytes(8)


def _compiled(tree: Tree, top: str) -> dict[str, bytes]:
    return {
        entry.path.lstrip("/"): _content(tree, entry)
        for entry in _below(tree, top)
        if entry.path.endswith(".pyc")
    }


def _below(tree: Tree, path: str) -> Iterator[Entry]:
    """All below a directory; nothing where it, or a part of it, is not here."""
    found = _find(tree, path)
    if found is None or not found.is_directory:
        return
    try:
        yield from tree.walk(found)
    except StoreError as error:
        if error.reason != "object-missing":
            raise


def _kernel(tree: Tree) -> str | None:
    """The directory of the image's kernel."""
    depth = MODULES.count("/") + 2
    return next((e.path for e in _below(tree, MODULES) if e.path.count("/") == depth), None)


def _find(tree: Tree, path: str) -> Entry | None:
    try:
        return tree.find(path)
    except StoreError as error:
        if error.reason not in ("no-path", "not-a-directory", "object-missing"):
            raise
        return None


def _file(tree: Tree, path: str, name: str) -> dict[str, bytes]:
    found = _find(tree, path)
    return {name: _content(tree, found)} if found is not None and found.is_file else {}


def _text(tree: Tree, path: str) -> str:
    return _file(tree, path, "").get("", b"").decode("utf-8", "replace")


def _content(tree: Tree, entry: Entry) -> bytes:
    return b"".join(tree.read(entry))
