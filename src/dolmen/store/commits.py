"""Commits that say more than their tree: metadata, subject, time; written through GLib."""

from __future__ import annotations

from collections.abc import Mapping

from dolmen.store.objects import COMMIT_TYPE

#: What metadata may hold here: `s`, `b` and `t` in GVariant's words.
Value = str | bool | int


def encode_full_commit(
    tree: str, meta: str, metadata: Mapping[str, Value], subject: str, timestamp: int
) -> bytes:
    """A commit without parent; `timestamp` in seconds. Keys of metadata are sorted."""
    from gi.repository import GLib

    def variant(value: Value) -> GLib.Variant:
        if isinstance(value, bool):
            return GLib.Variant("b", value)
        if isinstance(value, int):
            return GLib.Variant("t", value)
        return GLib.Variant("s", value)

    # libostree keeps the time in network byte order (ostree-core.h, OSTREE_COMMIT_GVARIANT_FORMAT)
    swapped = int.from_bytes(timestamp.to_bytes(8, "big"), "little")
    commit = GLib.Variant(
        COMMIT_TYPE,
        (
            {key: variant(metadata[key]) for key in sorted(metadata)},
            b"",
            [],
            subject,
            "",
            swapped,
            bytes.fromhex(tree),
            bytes.fromhex(meta),
        ),
    )
    return bytes(commit.get_data_as_bytes().get_data())


def read_commit(data: bytes) -> tuple[dict[str, object], int]:
    """The metadata and the time (seconds) of a commit object."""
    from gi.repository import GLib

    found = GLib.Variant.new_from_bytes(GLib.VariantType(COMMIT_TYPE), GLib.Bytes.new(data), False)
    metadata = found.get_child_value(0).unpack()
    swapped = found.get_child_value(5).get_uint64()
    return metadata, int.from_bytes(swapped.to_bytes(8, "little"), "big")


def decode_metadata(data: bytes) -> dict[str, object]:
    """The metadata of a commit; raises ValueError where it has a type that has no Python value."""
    from gi.repository import GLib

    variant = GLib.Variant.new_from_bytes(
        GLib.VariantType.new(COMMIT_TYPE), GLib.Bytes.new(data), False
    )
    return dict(variant.get_child_value(0).unpack())
