"""What a commit of a system image says about itself."""

from __future__ import annotations

from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.repository import told
from dolmen.store.sysroot.deployment import Metadata


def read_metadata(repo: OSTree.Repo, commit: str) -> Metadata:
    """The metadata of a commit that is in the repository; raises StoreError ("object-missing")."""
    with told():
        variant = repo.load_commit(commit)[1]
    return metadata_of(commit, variant)


def parse_commit(commit: str, content: bytes) -> Metadata:
    """The same of a commit object's bytes, which the caller has checked."""
    return metadata_of(commit, commit_variant(content))


def commit_variant(content: bytes) -> GLib.Variant:
    """A commit object's bytes as a value (ostree-core.h, OSTREE_COMMIT_GVARIANT_FORMAT)."""
    kind = GLib.VariantType.new("(a{sv}aya(say)sstayay)")
    return GLib.Variant.new_from_bytes(kind, GLib.Bytes.new(content), False)


def metadata_of(commit: str, variant: GLib.Variant) -> Metadata:
    """The values of a commit's variant that Dolmen knows; those of another type count as absent."""
    values: dict[str, Any] = {}
    table = variant.get_child_value(0)
    for index in range(table.n_children()):
        entry = table.get_child_value(index)
        key = entry.get_child_value(0).get_string()
        if key.startswith(("dolmen.", "ostree.")) or key == "version":
            value = entry.get_child_value(1).get_variant()
            if value.get_type_string() in ("s", "t", "b", "as"):
                values[key] = value.unpack()

    def text(key: str) -> str:
        found = values.get(key)
        return found if isinstance(found, str) else ""

    stamp = int(OSTree.commit_get_timestamp(variant))
    sequence = values.get("dolmen.sequence")
    refs = values.get("ostree.ref-binding")
    return Metadata(
        commit=commit,
        timestamp=stamp,
        version=text("version"),
        architecture=text("dolmen.architecture"),
        suite=text("dolmen.suite"),
        sequence=sequence if type(sequence) is int else stamp,
        key=text("dolmen.key"),
        kernel=text("ostree.linux"),
        bootable=values.get("ostree.bootable") is True,
        refs=tuple(refs) if isinstance(refs, list) else (),
    )
