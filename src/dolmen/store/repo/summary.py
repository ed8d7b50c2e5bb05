"""The summary as its file says it, in the words of `ostree summary --view`."""

from __future__ import annotations

from dolmen.store.repo import variant
from dolmen.store.repo.repository import MODES, slurp, unreadable
from dolmen.store.repo.sizes import format_size
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dolmen.store.repo.repository import Repository

TYPE = "(a(s(taya{sv}))a{sv})"
#: Key -> how people call it.
_NAMES = {
    "ostree.static-deltas": "Static Deltas",
    "ostree.summary.last-modified": "Last-Modified",
    "ostree.summary.expires": "Expires",
    "ostree.summary.collection-id": "Collection ID",
    "ostree.summary.collection-map": "Collection Map",
    "ostree.summary.mode": "Repository Mode",
    "ostree.summary.tombstone-commits": "Has Tombstone Commits",
    "ostree.commit.timestamp": "Timestamp",
    "ostree.commit.version": "Version",
}
_DATES = (
    "ostree.summary.last-modified",
    "ostree.summary.expires",
    "ostree.commit.timestamp",
)
_COLLECTION, _MAP = "ostree.summary.collection-id", "ostree.summary.collection-map"


def read(repository: Repository) -> Any:
    """The value of the summary; raises StoreError ("no-summary", "object-damaged")."""
    try:
        return parsed(slurp(f"{repository.path}/summary"))
    except FileNotFoundError:
        raise StoreError(
            f"there is no summary: {repository.path}/summary: No such file or directory",
            reason="no-summary",
            hint="dolmen store summary --update",
        ) from None
    except OSError as error:
        raise unreadable(error) from None


def parsed(data: bytes) -> Any:
    """The value of a summary's bytes; raises StoreError ("object-damaged")."""
    try:
        return variant.read(TYPE, data)
    except (ValueError, IndexError):
        raise StoreError(
            "the summary is damaged", reason="object-damaged", hint="dolmen store summary --update"
        ) from None


def raw(value: Any) -> str:
    """As `ostree summary --raw`."""
    return variant.text(TYPE, variant.swapped(TYPE, value))


def lines(value: Any) -> Iterator[str]:
    """As `ostree summary --view`."""
    refs, more = value
    known = dict(reversed(more))
    main = known.get(_COLLECTION)
    yield from _refs(None if main is None else main.value, refs)
    if _MAP in known:
        for collection, below in known[_MAP].value:
            yield from _refs(collection, below)
    for key, one in more:
        yield _line(key, one)


def _refs(collection: str | None, refs: Any) -> Iterator[str]:
    for name, (size, checksum, metadata) in refs:
        yield f"* {name}" if collection is None else f"* ({collection}, {name})"
        # libostree writes this number in network order and prints it as it finds it.
        yield f"    Latest Commit ({format_size(size)}):"
        yield f"      {checksum.hex()}"
        for key, one in metadata:
            yield f"    {_line(key, one)}"
        yield ""


def _line(key: str, one: variant.Variant) -> str:
    name = _NAMES.get(key)
    return f"{key}: {_shown(key, one)}" if name is None else f"{name} ({key}): {_shown(key, one)}"


def _shown(key: str, one: variant.Variant) -> str:
    if key in _DATES and one.type == "t":
        return _date(variant.swapped("t", one.value))
    if key == _MAP:
        return "(printed above)"
    if key == "ostree.summary.tombstone-commits" and one.type == "b":
        return "Yes" if one.value else "No"
    if key == "ostree.summary.mode" and one.type == "s":
        return one.value if one.value in MODES else f"Invalid (‘{one.value}’)"
    if key in _NAMES and one.type == "s":
        return str(one.value)
    return variant.text(one.type, one.value, annotated=False)


def _date(seconds: int) -> str:
    """Local time as ISO 8601, with its zone in few letters (`%:::z` of GLib)."""
    import time

    try:
        here = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        return "invalid"
    sign = "-" if here.tm_gmtoff < 0 else "+"
    hours, minutes = divmod(abs(here.tm_gmtoff) // 60, 60)
    zone = f"{sign}{hours:02d}" + (f":{minutes:02d}" if minutes else "")
    return time.strftime("%Y-%m-%dT%H:%M:%S", here) + zone
