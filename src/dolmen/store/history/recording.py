"""Writing a commit of a tree that is known by its checksums."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.committing import _present
from dolmen.store.history.repository import History
from dolmen.store.objects import encode_dirtree

_TREE = OSTree.ObjectType.DIR_TREE
_META = OSTree.ObjectType.DIR_META
_TREE_TYPE = GLib.VariantType("(a(say)a(sayay))")


def record(
    history: History,
    tree: tuple[str, str],
    *,
    branch: str | None,
    parent: str | None,
    subject: str | None = None,
    body: str | None = None,
    timestamp: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Write a commit of `tree` (dirtree, dirmeta) and let the branch name it; its checksum.

    To be called inside a transaction. `timestamp`: seconds of UTC, None for now; `metadata`: values
    as GVariants, to which the branch is added as libostree does (ostree.ref-binding).
    """
    repo = history.repo
    found = dict(metadata or {})
    if branch is not None:
        found["ostree.ref-binding"] = GLib.Variant("as", [branch])
        collection = repo.get_collection_id()
        if collection:
            found["ostree.collection-binding"] = GLib.Variant("s", collection)
    root = repo.write_mtree(OSTree.MutableTree.new_from_checksum(repo, *tree), None)[1]
    checksum: str = repo.write_commit_with_time(
        parent,
        subject,
        body,
        GLib.Variant("a{sv}", found) if found else None,
        root,
        present() if timestamp is None else timestamp,
        None,
    )[1]
    if branch is not None:
        repo.transaction_set_ref(None, branch, checksum)
    return checksum


def present() -> int:
    """Now, or what SOURCE_DATE_EPOCH says, as for `commit`."""
    return _present()


def write_dirtree(
    history: History, files: Mapping[str, str], dirs: Mapping[str, tuple[str, str]]
) -> str:
    """Write the object of one directory's names; its checksum."""
    data = encode_dirtree(files, dirs)
    variant = GLib.Variant.new_from_bytes(_TREE_TYPE, GLib.Bytes.new(data), False)
    return bytes(history.repo.write_metadata(_TREE, None, variant, None)[1]).hex()


def write_dirmeta(
    history: History, uid: int, gid: int, mode: int, xattrs: tuple[tuple[str, bytes], ...] = ()
) -> str:
    """Write the object of one directory's owner and mode (with its type bits); its checksum."""
    pairs = [(name.encode(errors="surrogateescape") + b"\0", value) for name, value in xattrs]
    # libostree keeps the three numbers in network order (ostree-core.h).
    numbers = (int.from_bytes(n.to_bytes(4, "big"), sys.byteorder) for n in (uid, gid, mode))
    variant = GLib.Variant("(uuua(ayay))", (*numbers, sorted(pairs)))
    return bytes(history.repo.write_metadata(_META, None, variant, None)[1]).hex()
