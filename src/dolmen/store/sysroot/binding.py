"""A commit that says which branch it is of, made of one that belongs to none.

The commit that `dolmen system build` makes belongs to no branch, for the same image may be of
several. What is published is the same tree under a commit that names its branch: without that a
server could show one branch's image, correctly signed, as another's. Whoever has the one can make
the other, and so a machine that was made from the one finds the deltas that lead from the other.
"""

from __future__ import annotations

import hashlib

from gi.repository import GLib, OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.sysroot.metadata import commit_variant

#: Of which branches a commit is (ostree-repo.h, OSTREE_COMMIT_META_KEY_REF_BINDING).
BINDING = "ostree.ref-binding"
#: Said of a repository's objects, which are others elsewhere.
_LEFT_OUT = (BINDING, "ostree.sizes")
#: ostree-core.h, OSTREE_COMMIT_GVARIANT_FORMAT: metadata, parent, related, subject, body, time,
#: dirtree, dirmeta.
_METADATA, _PARENT, _FIELDS = 0, 1, 8


def bound(history: History, commit: str, ref: str) -> tuple[str, bytes]:
    """The checksum and the object of the same tree's commit that names its branch; the same each
    time.

    Nothing is written. Raises StoreError ("object-missing").
    """
    with told():
        variant = history.repo.load_commit(commit)[1]
    values = {BINDING: GLib.Variant("as", [ref])}
    table = variant.get_child_value(_METADATA)
    for number in range(table.n_children()):
        entry = table.get_child_value(number)
        key = entry.get_child_value(0).get_string()
        if key not in _LEFT_OUT:
            values[key] = entry.get_child_value(1).get_variant()
    fields = [variant.get_child_value(number) for number in range(_FIELDS)]
    fields[_METADATA] = GLib.Variant("a{sv}", dict(sorted(values.items())))
    fields[_PARENT] = GLib.Variant("ay", b"")
    made = GLib.Variant.new_tuple(*fields)
    data = bytes(made.get_data_as_bytes().get_data() or b"")
    return hashlib.sha256(data).hexdigest(), data


def write(repo: OSTree.Repo, data: bytes) -> None:
    """Write such a commit, in a transaction of the caller's."""
    repo.write_metadata(OSTree.ObjectType.COMMIT, None, commit_variant(data), None)
