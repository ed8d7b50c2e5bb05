"""Downloads of .debs: parallel, resumable, and checked on every use.

A file is trusted for its SHA-256 alone, never for its name or for having been here before: what a
killed process, a full disk or somebody else left in the cache is found out and fetched again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from dolmen.archive.download import Download, FailureError, Worker
from dolmen.archive.snapshot import snapshot_uri
from dolmen.model import Lock, LockedPackage
from dolmen.support.clock import monotonic
from dolmen.support.errors import ArchiveError, StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted, ignore

#: Connections at a time. More gain nothing on a fast mirror and are unkind to a slow one.
CONNECTIONS = 6

#: A worker that gets less than this in a window is cut off: bytes, and seconds.
SLOW_BYTES = 4096
SLOW_SECONDS = 30.0

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
    started = monotonic()
    cache.mkdir(parents=True, exist_ok=True)
    unique = {package.sha256: package for package in wanted}
    # the biggest first: they take longest, to fetch and to import
    order = sorted(unique.values(), key=lambda package: (-package.size, package.key))
    total = sum(package.size for package in order)
    emit(PhaseStarted(Phase.FETCH, len(order)))
    crew = _Crew([Download(p, cache, _uris(lock, p, snapshots)) for p in order])
    done = cached = 0
    told = 0.0
    try:
        while done < len(order):
            outcome = crew.next(_EVENT_SECONDS)
            now = monotonic()
            if outcome is not None:
                if isinstance(outcome, BaseException):
                    raise _explained(outcome)
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


class _Crew:
    """The threads of one fetch, and one more that cuts off those who get nothing."""

    def __init__(self, downloads: Sequence[Download]) -> None:
        self._results: queue.SimpleQueue[Download | BaseException] = queue.SimpleQueue()
        self._stop = threading.Event()
        waiting: queue.SimpleQueue[Download] = queue.SimpleQueue()
        for download in downloads:
            waiting.put(download)
        count = min(CONNECTIONS, len(downloads))
        self._workers = [Worker(waiting, self._results, self._stop) for _ in range(count)]
        for number, worker in enumerate(self._workers):
            try:
                worker.start()
            except RuntimeError:
                # no more threads to be had: the others do its work
                if number == 0:
                    raise
                del self._workers[number:]
                break
        self._watch = threading.Thread(target=self._watchdog, daemon=True)
        self._watch.start()

    @property
    def received(self) -> int:
        """Bytes that are there, from the cache as well."""
        return sum(worker.received for worker in self._workers)

    @property
    def transferred(self) -> int:
        """Bytes that came over the wire."""
        return sum(worker.transferred for worker in self._workers)

    def item(self) -> str:
        """The name of something that is being fetched."""
        return next((worker.item for worker in self._workers if worker.item), "")

    def next(self, seconds: float) -> Download | BaseException | None:
        """The next outcome, or None when there was none in that time."""
        try:
            return self._results.get(timeout=seconds)
        except queue.Empty:
            return None

    def dismiss(self) -> None:
        """End all threads."""
        self._stop.set()
        for worker in self._workers:
            worker.transport.abort()
        for worker in self._workers:
            worker.join(timeout=5)
        self._watch.join(timeout=5)

    def _watchdog(self) -> None:
        marks = {worker: (monotonic(), -1) for worker in self._workers}
        while not self._stop.wait(0.5):
            now = monotonic()
            for worker in self._workers:
                since, count = marks[worker]
                if not worker.busy or worker.transferred - count >= SLOW_BYTES or count < 0:
                    marks[worker] = (now, worker.transferred)
                elif now - since > SLOW_SECONDS:
                    worker.transport.abort()
                    marks[worker] = (now, worker.transferred)


def _uris(lock: Lock, package: LockedPackage, snapshots: str | None) -> tuple[str, ...]:
    """Where a package may be, in the order of trying; without doubles."""
    own = lock.releases[package.release]
    roots = [own.uri, *(release.uri for release in lock.releases)]
    if own.date:
        pinned = snapshot_uri(own.uri, own.date, snapshots)
        roots += [pinned] if pinned is not None else []
    path = quote(package.filename, safe="/+~:=@,")
    return tuple(dict.fromkeys(f"{root.rstrip('/')}/{path}" for root in roots))


def _explained(error: BaseException) -> BaseException:
    """A worker's failure as the error the caller sees."""
    if isinstance(error, OSError):
        full = error.errno in (28, 122)  # ENOSPC, EDQUOT
        return StoreError(
            "the disk is full" if full else f"the cache cannot be written: {error.strerror}",
            reason="disk-full" if full else "cache-unwritable",
            context=str(error.filename or ""),
            hint="make room, then run the same command again: what was fetched is kept",
        )
    if not isinstance(error, FailureError):
        return error
    package = error.package
    where = f"{package.name} {package.version}"
    if error.kind == "mirror-gone":
        message = f"no source has {where} any more"
        hint = "solve again: dolmen lock (or pin a snapshot to keep old versions)"
    elif error.kind == "hash-mismatch":
        message = f"what the sources serve as {where} is not what was locked"
        hint = "name another mirror; if the lock came from elsewhere, solve again: dolmen lock"
    else:
        message = f"{where} cannot be fetched"
        hint = "check the connection, and http_proxy; then run the same command again"
    return ArchiveError(
        message,
        reason=error.kind,
        context=f"expected SHA256 {package.sha256}, {package.size} bytes",
        details=error.attempts,
        hint=hint,
    )
