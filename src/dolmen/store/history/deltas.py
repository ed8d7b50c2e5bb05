"""Static deltas: what leads from one commit to another in few files (ostree static-delta).

libostree makes and applies them, on one processor: LZMA over parts of 32 MB, and bsdiff for files
that are alike. What its command shows and deletes is not in its library, and is read here:
`ostree-repo-static-delta-private.h` has the format.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import resolve
from dolmen.support.errors import StoreError
from dolmen.support.files import remove_tree, sync_directory

SUPERBLOCK = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))"
_PART = "(a(uuu)aa(ayay)ayay)"
_NAME = re.compile(r"(?:([0-9a-f]{64})-)?([0-9a-f]{64})")
_FILE_KINDS = (1,)
_LIMIT = 1 << 30
#: What an operation of a part is followed by: so many numbers (ops of `_Part`).
_NUMBERS = {"o": 3, "w": 2, "r": 1, "R": 0, "c": 0, "B": 2}
_WORDS = {
    "S": "openspliceclose",
    "o": "open",
    "w": "write",
    "r": "setread",
    "R": "unsetread",
    "c": "close",
    "B": "bspatch",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make one, under the names of ostree's options; sizes in bytes, None: its defaults.

    `file`: into this file and not into the repository. `endianness`: "l", "B" or None.
    `signing`: a kind of libostree's signatures with its keys.
    """

    inline: bool = False
    bsdiff: bool = True
    min_fallback: int | None = None
    max_bsdiff: int | None = None
    max_chunk: int | None = None
    file: Path | None = None
    endianness: str | None = None
    verbose: bool = False
    signing: tuple[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its objects, bytes packed and unpacked, and its operations by name."""

    objects: int
    size: int
    usize: int
    modes: int
    xattrs: int
    blob: int
    operations: Mapping[str, int]
    operation_bytes: int


@dataclass(frozen=True, slots=True)
class Delta:
    """What a delta says of itself; `before` None: from nothing. `fallbacks`: objects that are
    fetched one by one beside it, with their bytes."""

    before: str | None
    after: str
    timestamp: int
    endianness: str
    signed: bool
    fallbacks: tuple[str, ...]
    fallback_size: int
    fallback_usize: int
    parts: tuple[Part, ...]
    faults: tuple[str, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes to fetch, all parts and fallbacks."""
        return self.fallback_size + sum(part.size for part in self.parts)

    @property
    def usize(self) -> int:
        """The same unpacked."""
        return self.fallback_usize + sum(part.usize for part in self.parts)


def generate(
    history: History, before: str | None, after: str, recipe: Recipe, *, anew: bool = True
) -> tuple[str, bool]:
    """Make a delta between two revisions (`before` None: from nothing); its name, and whether it
    was made (not where there is one, unless `anew`).

    Raises StoreError ("no-revision", "object-missing", "store-full", …).
    """
    to = resolve(history, after)
    start = None if before is None else resolve(history, before)
    name = to if start is None else f"{start}-{to}"
    if not anew and recipe.file is None and name in names(history):
        return name, False
    options: dict[str, GLib.Variant] = {
        "inline-parts": GLib.Variant("b", recipe.inline),
        "bsdiff-enabled": GLib.Variant("b", recipe.bsdiff),
        "verbose": GLib.Variant("b", recipe.verbose),
    }
    # libostree counts in megabytes (of 10^6, as its options do).
    for key, value in (
        ("min-fallback-size", recipe.min_fallback),
        ("max-bsdiff-size", recipe.max_bsdiff),
        ("max-chunk-size", recipe.max_chunk),
    ):
        if value is not None:
            options[key] = GLib.Variant("u", value)
    if recipe.file is not None:
        options["filename"] = _bytestring(os.fsencode(recipe.file.absolute()))
    if recipe.endianness is not None:
        options["endianness"] = GLib.Variant("y", ord(recipe.endianness))
    if recipe.signing is not None:
        options["sign-name"] = _bytestring(recipe.signing[0].encode())
        options["sign-key-ids"] = GLib.Variant("as", list(recipe.signing[1]))
    with history.changing() as repo:
        repo.static_delta_generate(
            OSTree.StaticDeltaGenerateOpt.MAJOR,
            start,
            to,
            None,
            GLib.Variant("a{sv}", options),
            None,
        )
    return name, True


def _bytestring(text: bytes) -> GLib.Variant:
    data = GLib.Bytes.new(text + b"\0")
    return GLib.Variant.new_from_bytes(GLib.VariantType("ay"), data, True)


def names(history: History) -> list[str]:
    """The deltas of a repository: `FROM-TO`, or `TO` for one from nothing."""
    with told():
        return sorted(history.repo.list_static_delta_names(None)[1])


def indexes(history: History) -> list[str]:
    """The commits for which there is an index of deltas."""
    with told():
        return sorted(history.repo.list_static_delta_indexes(None)[1])


def reindex(history: History, to: str | None = None) -> None:
    """Write the indexes that `pull` looks deltas up in, all or that of one commit."""
    if to is None:
        # Also those of which no delta is left: their index goes.
        wanted = {name.rpartition("-")[2] for name in names(history)} | {*indexes(history)}
    else:
        wanted = {resolve(history, to)}
    with history.changing() as repo:
        for checksum in sorted(wanted):
            repo.static_delta_reindex(OSTree.StaticDeltaIndexFlags(0), checksum, None)


def delete(history: History, name: str) -> None:
    """Delete a delta; raises StoreError ("no-delta")."""
    place = _place(history, name)
    if not place.is_dir():
        raise _no_delta(name)
    with history.changing():
        # First what says that it is there.
        (place / "superblock").unlink(missing_ok=True)
        remove_tree(place)
        with suppress(OSError):
            place.parent.rmdir()
        sync_directory(history.path / "deltas")


def apply(history: History, source: Path, *, sign: Any = None) -> str:
    """Take in the commit that a delta (a file, or a directory of the repository's kind) leads to.

    Its objects are checked. The commit has no ref then. Raises StoreError ("no-delta",
    "object-missing" where its first commit is not here, "object-damaged", …).
    """
    found = read(_file(source))
    if found.faults:
        raise _damaged(found.faults[0])
    if history.mode == "archive" and any(
        part.operations.get("setread") or part.operations.get("bspatch") for part in found.parts
    ):
        # It would abort the process (ostree-repo.c, _ostree_repo_load_file_bare, 2022.7).
        raise StoreError(
            "libostree cannot build on other files in a repository of mode archive",
            reason="delta-mode",
            hint="dolmen store pull, or apply it to a repository of mode bare-user",
        )
    with history.transaction() as repo:
        file = Gio.File.new_for_path(os.fspath(source))
        if sign is None:
            repo.static_delta_execute_offline(file, False, None)
        else:
            repo.static_delta_execute_offline_with_signature(file, sign, False, None)
    with told():
        history.repo.fsck_object(OSTree.ObjectType.COMMIT, found.after, None)
        history.repo.traverse_commit(found.after, 0, None)
    return found.after


def describe(history: History, name: str) -> Delta:
    """Read a delta, by name or by its file; `faults` says what is wrong with it.

    Raises StoreError ("no-delta", "bad-delta").
    """
    if _NAME.fullmatch(name):
        return read(_place(history, name) / "superblock", name=name)
    if "/" not in name and not os.path.exists(name):
        raise StoreError(f"Invalid rev {name}", reason="no-delta", hint="dolmen store deltas list")
    return read(_file(Path(name)))


def verify_signature(history: History, name: str, sign: Any) -> tuple[bool, str]:
    """Whether libostree accepts the signature of a delta, and what it says."""
    where = name if _NAME.fullmatch(name) else os.path.abspath(name)
    try:
        good, words = history.repo.static_delta_verify_signature(where, sign)
    except GLib.Error as error:
        return False, error.message
    return bool(good), str(words or "")


def read(path: Path, *, name: str | None = None) -> Delta:
    """Read and check a delta's first file; raises StoreError ("no-delta", "bad-delta")."""
    with told():
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise _no_delta(name or str(path)) from None
    signed = data.startswith(b"OSTSGNDT")
    if signed:
        data = _signed(data)
    block = GLib.Variant.new_from_bytes(GLib.VariantType(SUPERBLOCK), GLib.Bytes.new(data), False)
    if not block.is_normal_form():
        raise _damaged(f"{path} is no delta")
    after = _sum(block, 3) or ""
    before = _sum(block, 2)
    faults: list[str] = []
    commit = bytes(block.get_child_value(4).get_data_as_bytes().get_data() or b"")
    if hashlib.sha256(commit).hexdigest() != after:
        faults.append("its commit is not the one that it says")
    named = _NAME.fullmatch(name or "")
    if named and (named[1], named[2]) != (before, after):
        faults.append("it leads to another commit than its name says")
    values = _values(block.get_child_value(0))
    order, swap = _order(values, block)
    # Parts within are called by the path that they would have.
    inline = {
        int(key.rpartition("/")[2]): value
        for key, value in values.items()
        if re.fullmatch(r"deltas/.*/[0-9]{1,6}", key)
    }
    parts = []
    heads = block.get_child_value(6)
    for number in range(heads.n_children()):
        head = heads.get_child_value(number)
        parts.append(_part(head, path.parent / str(number), inline.get(number), swap, faults))
    entries = block.get_child_value(7)
    rows = [entries.get_child_value(i).unpack() for i in range(entries.n_children())]
    return Delta(
        before,
        after,
        int.from_bytes(block.get_child_value(1).get_uint64().to_bytes(8, sys.byteorder), "big"),
        order,
        signed,
        tuple(bytes(row[1]).hex() for row in rows),
        sum(_swapped(row[2], swap) for row in rows),
        sum(_swapped(row[3], swap) for row in rows),
        tuple(parts),
        tuple(faults),
    )


def _part(
    head: GLib.Variant, path: Path, inline: GLib.Variant | None, swap: bool, faults: list[str]
) -> Part:
    _, checksum, size, usize, objects = head.unpack()
    size, usize, packed = _swapped(size, swap), _swapped(usize, swap), bytes(objects)
    kinds = packed[::33]
    part = Part(len(kinds), size, usize, 0, 0, 0, {}, 0)
    try:
        if inline is not None:
            # Kept as the whole part, compression byte and all, as a pair.
            kind, content = inline.unpack()
            whole = bytes([kind]) + bytes(content)
        else:
            whole = path.read_bytes()
        if hashlib.sha256(whole).digest() != bytes(checksum):
            faults.append(f"its part {path.name} is damaged")
            return part
        data = _unpack(whole, usize)
    except (OSError, lzma.LZMAError, ValueError) as error:
        faults.append(f"its part {path.name} cannot be read: {error}")
        return part
    value = GLib.Variant.new_from_bytes(GLib.VariantType(_PART), GLib.Bytes.new(data), False)
    operations = bytes(value.get_child_value(3).get_data_as_bytes().get_data() or b"")
    counts = dict.fromkeys(_WORDS.values(), 0)
    try:
        for letter in _operations(operations, kinds):
            counts[_WORDS[letter]] += 1
    except (IndexError, KeyError):
        faults.append(f"the operations of its part {path.name} are damaged")
    blob = value.get_child_value(2).n_children()
    modes, xattrs = (value.get_child_value(i).n_children() for i in (0, 1))
    return Part(len(kinds), size, usize, modes, xattrs, blob, counts, len(operations))


def _unpack(whole: bytes, usize: int) -> bytes:
    if whole[:1] == b"\0":
        return whole[1:]
    if whole[:1] != b"x":
        raise ValueError("an unknown compression")
    decoder = lzma.LZMADecompressor(memlimit=1 << 28)
    # Beyond its objects a part has modes and operations.
    limit = min(max(usize, 1 << 20) * 4, _LIMIT)
    data = decoder.decompress(whole[1:], limit)
    if not decoder.eof:
        raise ValueError("it unpacks to more than it says")
    return data


def _operations(data: bytes, kinds: bytes) -> Iterator[str]:
    place = number = 0

    def skip(count: int) -> None:
        nonlocal place
        for _ in range(count):
            while data[place] & 0x80:
                place += 1
            place += 1

    while place < len(data):
        letter = chr(data[place])
        place += 1
        if letter == "S":
            skip(4 if kinds[number] in _FILE_KINDS else 2)
            number += 1
        else:
            if letter == "o" and kinds[number] not in _FILE_KINDS:
                skip(1)
            else:
                skip(_NUMBERS[letter])
            number += letter == "c"
        yield letter


def _order(values: Mapping[str, GLib.Variant], block: GLib.Variant) -> tuple[str, bool]:
    """How numbers are stored, and whether that is not this machine's way."""
    words = {"l": "little", "B": "big"}
    said = values.get("ostree.endianness")
    if said is not None:
        order = words.get(chr(said.get_byte()), "little")
        return order, order != sys.byteorder
    # Older ones do not say: sizes that are possible decide.
    heads = block.get_child_value(6)
    sizes = [heads.get_child_value(i).unpack()[3] for i in range(heads.n_children())]
    swap = sum(_swapped(size, True) for size in sizes) < sum(sizes)
    order = sys.byteorder if not swap else {"little": "big", "big": "little"}[sys.byteorder]
    return f"{order} (heuristic)", swap


def _swapped(number: int, swap: bool) -> int:
    return int.from_bytes(number.to_bytes(8, "little"), "big") if swap else number


def _values(found: GLib.Variant) -> dict[str, GLib.Variant]:
    pairs = (found.get_child_value(i) for i in range(found.n_children()))
    return {
        pair.get_child_value(0).get_string(): pair.get_child_value(1).get_variant()
        for pair in pairs
    }


def _sum(block: GLib.Variant, index: int) -> str | None:
    data = bytes(block.get_child_value(index).get_data_as_bytes().get_data() or b"")
    return data.hex() if len(data) == 32 else None


def _signed(data: bytes) -> bytes:
    value = GLib.Variant.new_from_bytes(GLib.VariantType("(taya{sv})"), GLib.Bytes.new(data), False)
    return bytes(value.get_child_value(1).get_data_as_bytes().get_data() or b"")


def _place(history: History, name: str) -> Path:
    match = _NAME.fullmatch(name)
    if match is None:
        raise StoreError(f"Invalid rev {name}", reason="no-delta", hint="dolmen store deltas list")
    return history.path / path_of(match[1], match[2])


def path_of(before: str | None, after: str) -> str:
    """Where a delta lies in its repository.

    As libostree has it: ostree-core.c, ``_ostree_get_relative_static_delta_path``.
    """
    parts = [
        base64.b64encode(bytes.fromhex(one)).decode().rstrip("=").replace("/", "_")
        for one in (before, after)
        if one
    ]
    whole = "-".join(parts)
    return f"deltas/{whole[:2]}/{whole[2:]}"


def _file(source: Path) -> Path:
    return source / "superblock" if source.is_dir() else source


def _no_delta(name: str) -> StoreError:
    return StoreError(
        f"Can't find delta {name}", reason="no-delta", hint="dolmen store deltas list"
    )


def _damaged(what: str) -> StoreError:
    return StoreError(
        f"the delta is refused: {what}",
        reason="bad-delta",
        hint="have it made again: dolmen store deltas generate",
    )
