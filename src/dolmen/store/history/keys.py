"""The OpenPGP keys that a remote's commits and summaries must be signed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gi.repository import Gio, GLib

from dolmen.store.history.repository import History, told


@dataclass(frozen=True, slots=True)
class UserId:
    """Whom a key says it is of, and where that domain publishes keys (Web Key Directory)."""

    text: str
    revoked: bool
    invalid: bool
    advanced_url: str | None
    direct_url: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key or a subkey; times in seconds of UTC, `expires` 0 for never."""

    fingerprint: str
    created: int
    expires: int
    expired: bool
    revoked: bool
    invalid: bool
    users: tuple[UserId, ...] = ()
    subkeys: tuple[Key, ...] = ()


def import_keys(history: History, remote: str, data: bytes | None, ids: Sequence[str] = ()) -> int:
    """Trust keys for a remote, all of `data` or those named; how many are new.

    `data` None: from the user's own GnuPG. Raises StoreError ("store-failed").
    """
    stream = None
    if data is not None:
        stream = Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new(data))
    with history.changing() as repo:
        return int(repo.remote_gpg_import(remote, stream, list(ids) or None, None)[1])


def list_keys(history: History, remote: str | None) -> tuple[Key, ...]:
    """The keys of a remote, or (None) those trusted for every one."""
    with told():
        found = history.repo.remote_get_gpg_keys(remote, None, None)[1]
    return tuple(_key(row) for row in found)


def _key(row: Any) -> Key:
    subkeys = [_subkey(part) for part in _rows(row.get_child_value(0))]
    users = tuple(_user(part) for part in _rows(row.get_child_value(1)))
    first = subkeys[0]
    return Key(
        first.fingerprint,
        first.created,
        first.expires,
        first.expired,
        first.revoked,
        first.invalid,
        users,
        tuple(subkeys[1:]),
    )


def _rows(value: Any) -> list[dict[str, Any]]:
    return [value.get_child_value(number).unpack() for number in range(value.n_children())]


def _subkey(part: dict[str, Any]) -> Key:
    return Key(
        str(part.get("fingerprint", "")),
        created=_big(part.get("created", 0)),
        expires=_big(part.get("expires", 0)),
        expired=bool(part.get("expired")),
        revoked=bool(part.get("revoked")),
        invalid=bool(part.get("invalid")),
    )


def _user(part: dict[str, Any]) -> UserId:
    return UserId(
        str(part.get("uid", "")),
        bool(part.get("revoked")),
        bool(part.get("invalid")),
        part.get("advanced_url"),
        part.get("direct_url"),
    )


def _big(number: int) -> int:
    """Times come in network order, whatever the machine's."""
    return int.from_bytes((number & (1 << 64) - 1).to_bytes(8, "little"), "big")
