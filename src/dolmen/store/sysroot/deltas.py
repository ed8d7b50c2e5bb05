"""Static deltas of a server: what one would bring, and taking in what it brought.

libostree's own pull (2022.7) looks for an image's objects while it still applies the parts of a
delta, and fetches one by one what it does not find yet: more bytes than without a delta. So the
parts are fetched first and applied at once, and the pull has the rest to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.deltas import SUPERBLOCK
from dolmen.store.history.repository import History, told
from dolmen.store.sysroot.binding import write

#: Places in a head.
_AFTER, _PARTS, _FALLBACKS = 3, 6, 7
#: One byte for the kind of an object (file, dirtree, dirmeta, commit) and 32 for its name.
_OBJECT, _KINDS = 33, frozenset((1, 2, 3, 4))
#: A signed one begins so; nobody here can check that signature, the commit's own is what counts.
_SIGNED = b"OSTSGNDT"


@dataclass(frozen=True, slots=True)
class Part:
    """One of a delta's files: `inline` where it lies in the head. `objects`: (kind, checksum), kind
    as in `OSTree.ObjectType`; sizes in bytes."""

    size: int
    usize: int
    objects: tuple[tuple[int, str], ...]
    inline: bool


@dataclass(frozen=True, slots=True)
class Delta:
    """What leads to a commit: `head` is its first file. `fallbacks`: objects that it leaves out,
    with their bytes on the network and on the disk."""

    commit: str
    head: bytes
    parts: tuple[Part, ...]
    fallbacks: int
    fallback_size: int
    fallback_usize: int

    @property
    def size(self) -> int:
        """Bytes to fetch, all in all."""
        return len(self.head) + self.fallback_size + sum(size for _number, size in self.files)

    @property
    def usize(self) -> int:
        """Bytes of the objects that it makes or leaves out."""
        return self.fallback_usize + sum(one.usize for one in self.parts)

    @property
    def objects(self) -> int:
        """How many objects come of it, those that it leaves out among them."""
        return self.fallbacks + sum(len(one.objects) for one in self.parts)

    @property
    def files(self) -> tuple[tuple[int, int], ...]:
        """(number, size) of the parts that are files of their own."""
        return tuple((i, one.size) for i, one in enumerate(self.parts) if not one.inline)


def read_delta(head: bytes) -> Delta | None:
    """Read the first file of a delta; None for what is none, or none that can be applied."""
    if head.startswith(_SIGNED):
        return None
    block = _block(head)
    if not block.is_normal_form():
        return None
    after = bytes(block.get_child_value(_AFTER).get_data_as_bytes().get_data() or b"")
    inline = _inline(block.get_child_value(0))
    parts = []
    table = block.get_child_value(_PARTS)
    for number in range(table.n_children()):
        _, _, size, usize, objects = table.get_child_value(number).unpack()
        packed = bytes(objects)
        if len(packed) % _OBJECT or not _KINDS.issuperset(packed[::_OBJECT]):
            return None
        names = tuple(
            (packed[at], packed[at + 1 : at + _OBJECT].hex())
            for at in range(0, len(packed), _OBJECT)
        )
        parts.append(Part(_number(size), _number(usize), names, number in inline))
    table = block.get_child_value(_FALLBACKS)
    rows = [table.get_child_value(number).unpack() for number in range(table.n_children())]
    sizes = [(_number(size), _number(usize)) for _, _, size, usize in rows]
    packed_size, unpacked_size = sum(pair[0] for pair in sizes), sum(pair[1] for pair in sizes)
    return Delta(after.hex(), head, tuple(parts), len(rows), packed_size, unpacked_size)


def is_needed(history: History, delta: Delta) -> bool:
    """Whether anything that a delta makes is not here yet."""
    with told():
        return any(
            not history.repo.has_object(OSTree.ObjectType(kind), checksum, None)[1]
            for part in delta.parts
            for kind, checksum in part.objects
        )


def apply(history: History, delta: Delta, directory: Path, *, base: bytes | None = None) -> None:
    """Make a delta's objects; `directory` has its files, each part under its number. `base`: the
    commit that it leads from, where only another of the same tree is here.

    libostree compares every part with the head's checksum and every object with its name. The
    commit stays marked as incomplete, so that a pull looks whether all of it is here and signed.
    Raises StoreError ("store-full", "object-missing", "store-failed", …); nothing is here then.
    """
    (directory / "superblock").write_bytes(_without_fallbacks(delta.head))
    with history.transaction() as repo:
        repo.mark_commit_partial(delta.commit, True)
        if base is not None:
            write(repo, base)
        repo.static_delta_execute_offline(Gio.File.new_for_path(str(directory)), False, None)


def _without_fallbacks(head: bytes) -> bytes:
    """libostree applies no file that counts on objects beside it: the pull brings these."""
    block = _block(head)
    if not block.get_child_value(_FALLBACKS).n_children():
        return head
    children = [block.get_child_value(number) for number in range(_FALLBACKS)]
    children.append(GLib.Variant("a(yaytt)", []))
    return bytes(GLib.Variant.new_tuple(*children).get_data_as_bytes().get_data() or b"")


def _block(head: bytes) -> GLib.Variant:
    return GLib.Variant.new_from_bytes(
        GLib.VariantType.new(SUPERBLOCK), GLib.Bytes.new(head), False
    )


def _inline(values: GLib.Variant) -> set[int]:
    """The parts that lie in the head, called by the path that they would have."""
    names = (
        values.get_child_value(number).get_child_value(0).get_string()
        for number in range(values.n_children())
    )
    found = (re.fullmatch(r"deltas/.*/([0-9]{1,6})", name) for name in names)
    return {int(match[1]) for match in found if match is not None}


def _number(value: int) -> int:
    """Deltas are written in the byte order of who made them; no part has an exabyte."""
    return value if value < 1 << 50 else int.from_bytes(value.to_bytes(8, "little"), "big")
