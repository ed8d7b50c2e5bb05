"""The static delta that a server has for an image: found, fetched, applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dolmen.store.history.deltas import path_of
from dolmen.store.history.repository import told
from dolmen.store.sysroot import Sysroot
from dolmen.store.sysroot.binding import bound
from dolmen.store.sysroot.deltas import Delta, apply, is_needed, read_delta
from dolmen.system.machine.remote import Remote

#: A delta of a whole Debian has two dozen parts.
_PARTS = 4096


@dataclass(frozen=True, slots=True)
class OfferedDelta:
    """A delta and where it lies below the server's URL. `base`: the commit object that it leads
    from, where another of the same tree is here."""

    path: str
    delta: Delta
    base: bytes | None = None


def find_delta(sysroot: Sysroot, remote: Remote, commit: str, ref: str) -> OfferedDelta | None:
    """The smallest delta to a commit of a branch from an image that is deployed here, or None.

    Raises ArchiveError ("remote-failed").
    """
    best: OfferedDelta | None = None
    for before, base in _bases(sysroot, ref):
        path = path_of(before, commit)
        head = remote.delta_head(f"{path}/superblock")
        delta = read_delta(head) if head is not None else None
        if delta is None or delta.commit != commit or len(delta.parts) > _PARTS:
            continue
        if best is None or delta.size < best.delta.size:
            best = OfferedDelta(path, delta, base)
    return best


def _bases(sysroot: Sysroot, ref: str) -> Iterator[tuple[str, bytes | None]]:
    """What a delta may lead from: deployed commits, and what they are called when published."""
    history = sysroot.repository
    seen: set[str] = set()
    for commit in [one.commit for one in sysroot.own()]:
        published, content = bound(history, commit, ref)
        for name in (commit, published):
            if name not in seen:
                seen.add(name)
                # Also where it is here: nothing names it, and a cleanup may come in between.
                yield name, None if name == commit else content


def take_delta(
    sysroot: Sysroot, remote: Remote, offered: OfferedDelta, moved: Callable[[int], None]
) -> int:
    """Fetch a delta and make its objects; returns the bytes that came. `moved` hears of them.

    What an interrupted upgrade has left of it is not made again. Raises ArchiveError
    ("remote-failed", "remote-corrupt"), StoreError ("store-full", "store-failed", …).
    """
    history, delta = sysroot.repository, offered.delta
    if not is_needed(history, delta):
        return 0
    total = 0
    with told(), history.scratch() as directory:
        for number, size in delta.files:
            came = total

            def more(done: int, came: int = came) -> None:
                moved(came + done)

            remote.save(f"{offered.path}/{number}", directory / str(number), size, more)
            total += size
        apply(history, delta, directory, base=offered.base)
    return total
