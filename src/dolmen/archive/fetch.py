"""Downloads of .debs: parallel, resumable, and checked on every use.

A file is trusted for its SHA-256 alone, never for its name or for having been here before: what a
killed process, a full disk or somebody else left in the cache is found out and fetched again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from dolmen.archive.snapshot import snapshot_uri
from dolmen.model import Lock, LockedPackage
from dolmen.support.clock import monotonic
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted, ignore

_EVENT_SECONDS = 0.1


def fetch(
    lock: Lock,
    wanted: Sequence[LockedPackage],
    *,
    cache: Path,
    emit: Emit = ignore,
    snapshots: str | None = None,
) -> Iterator[tuple[LockedPackage, Path]]:
    """Bring .debs of a lock to `cache`, as SHA256.deb; yields each as soon as it is there.

    Looked for in the cache, then below the package's own Release file's URI, then below the other
    URIs of the lock, then on the snapshot service where one is known (see archive.snapshot).
    Closing the iterator ends the downloads; what was begun is resumed the next time.

    Raises ArchiveError ("mirror-gone": no source has the file any more; "hash-mismatch": what
    they serve is not what was locked; "fetch-failed") and StoreError ("disk-full").
    """
    # an HTTP client takes 50 ms to load, and many commands end before they need one
    from dolmen.archive.crew import Crew, explained
    from dolmen.archive.download import Download

    started = monotonic()
    unique = {package.sha256: package for package in wanted}
    # the biggest first: they take longest, to fetch and to import
    order = sorted(unique.values(), key=lambda package: (-package.size, package.key))
    total = sum(package.size for package in order)
    emit(PhaseStarted(Phase.FETCH, len(order)))
    crew = Crew(cache, [Download(p, cache, _uris(lock, p, snapshots)) for p in order])
    done = cached = 0
    told = 0.0
    try:
        while done < len(order):
            outcome = crew.next(_EVENT_SECONDS)
            now = monotonic()
            if outcome is not None:
                if isinstance(outcome, BaseException):
                    raise explained(outcome) from None
                done += 1
                cached += outcome.cached
            if outcome is not None or now - told >= _EVENT_SECONDS:
                told = now
                item = outcome.package.name if outcome is not None else crew.item()
                emit(PhaseProgress(Phase.FETCH, done, len(order), crew.received, total, item))
            if outcome is not None:
                yield outcome.package, outcome.path
    finally:
        crew.dismiss()
    seconds = monotonic() - started
    emit(PhaseFinished(Phase.FETCH, done, seconds, crew.transferred, cached))


def _uris(lock: Lock, package: LockedPackage, snapshots: str | None) -> tuple[str, ...]:
    """Where a package may be, in the order of trying; without doubles."""
    if package.is_local:
        return ()  # whoever has the file puts it into the cache
    own = lock.releases[package.release]
    roots = [own.uri, *(release.uri for release in lock.releases)]
    if own.date:
        pinned = snapshot_uri(own.uri, own.date, snapshots)
        roots += [pinned] if pinned is not None else []
    path = quote(package.filename, safe="/+~:=@,")
    return tuple(dict.fromkeys(f"{root.rstrip('/')}/{path}" for root in roots))
