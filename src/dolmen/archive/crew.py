"""The threads of one fetch, and what a failure among them means to a user."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from dolmen.archive.download import Download, FailureError, Worker
from dolmen.archive.storage import storage_error
from dolmen.support.clock import monotonic
from dolmen.support.errors import ArchiveError

#: Connections at a time. More gain nothing on a fast mirror and are unkind to a slow one.
CONNECTIONS = 6

#: A worker that gets less than this in a window is cut off: bytes, and seconds.
SLOW_BYTES = 4096
SLOW_SECONDS = 30.0


class Crew:
    """The threads of one fetch, and one more that cuts off those who get nothing."""

    def __init__(self, cache: Path, downloads: Sequence[Download]) -> None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error) from None
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


def explained(error: BaseException) -> BaseException:
    """A worker's failure as the error the caller sees."""
    if isinstance(error, OSError):
        return storage_error(error)
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
        details=list(dict.fromkeys(error.attempts)),
        hint=hint,
    )
