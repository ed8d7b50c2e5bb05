"""The head of a static delta: how much it would bring."""

from __future__ import annotations

from gi.repository import GLib

#: ostree-repo-static-delta-private.h, OSTREE_STATIC_DELTA_SUPERBLOCK_FORMAT.
_SUPERBLOCK = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))"
_PARTS, _FALLBACKS = 6, 7


def delta_size(content: bytes) -> int | None:
    """Bytes of a delta's parts and of the objects that it leaves out; None for what is no delta."""
    variant = GLib.Variant.new_from_bytes(
        GLib.VariantType.new(_SUPERBLOCK), GLib.Bytes.new(content), False
    )
    if not variant.is_normal_form():
        return None
    total = len(content)
    for place, column in ((_PARTS, 2), (_FALLBACKS, 2)):
        table = variant.get_child_value(place)
        for number in range(table.n_children()):
            total += _number(table.get_child_value(number).get_child_value(column).get_uint64())
    return total


def _number(value: int) -> int:
    """Deltas are written in the byte order of who made them; no part has an exabyte."""
    return value if value < 1 << 50 else int.from_bytes(value.to_bytes(8, "little"), "big")
