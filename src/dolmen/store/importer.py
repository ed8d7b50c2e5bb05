"""Import of many .debs side by side, while they are still being fetched."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from dolmen.model import LockedPackage, Sha256
from dolmen.store.importing import import_deb
from dolmen.store.transaction import Transaction
from dolmen.support import clock
from dolmen.support.errors import PackageError, StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted

#: Decoders hold up to 65 MiB each; more threads than this gain nothing on usual disks either.
_MAX_WORKERS = 4


def import_all(
    transaction: Transaction,
    debs: Iterable[tuple[LockedPackage, Path]],
    *,
    known: Callable[[Sha256], bool],
    emit: Emit,
) -> None:
    """Import what is not `known` in one transaction.

    Decompression, hashing and writing happen outside Python's lock, so threads are enough.
    A bad package or a full disk aborts everything, so that nothing of it becomes visible. When
    `debs` itself fails (a download), what was imported until then is kept, and its error goes on.
    """
    started = clock.monotonic()
    emit(PhaseStarted(Phase.IMPORT))
    work = _Import(transaction, emit)
    try:
        work.consume(debs, known)
        if work.refs:
            transaction.finish(work.refs)
    finally:
        transaction.abort()
    count = len(work.refs) + work.cached
    emit(PhaseFinished(Phase.IMPORT, count, clock.monotonic() - started, work.size, work.cached))


class _Import:
    def __init__(self, transaction: Transaction, emit: Emit) -> None:
        self.refs: list[tuple[str, str]] = []
        self.size = self.cached = 0
        self._transaction = transaction
        self._emit = emit
        self._running: dict[Future[Sha256], LockedPackage] = {}
        self._stop = threading.Event()

    def consume(
        self, debs: Iterable[tuple[LockedPackage, Path]], known: Callable[[Sha256], bool]
    ) -> None:
        workers = min(len(os.sched_getaffinity(0)), _MAX_WORKERS)
        seen: set[Sha256] = set()
        source = iter(debs)
        failed: Exception | None = None
        with ThreadPoolExecutor(workers, thread_name_prefix="import") as pool:
            try:
                while failed is None:
                    try:
                        package, path = next(source)
                    except StopIteration:
                        break
                    except Exception as error:
                        failed = error
                        break
                    if package.sha256 in seen or known(package.sha256):
                        self.cached += 1
                        continue
                    seen.add(package.sha256)
                    self._running[pool.submit(self._one, path, package)] = package
                    # A few wait in line, so that no worker idles; more would only pile up.
                    self._collect(until=2 * workers)
                self._collect(until=0)
            except BaseException:
                self._stop.set()
                raise
        if failed is not None:
            if self.refs:
                self._transaction.finish(self.refs)
            raise failed

    def _one(self, path: Path, package: LockedPackage) -> Sha256:
        if self._stop.is_set():
            raise StoreError("another package of the same import failed", reason="interrupted")
        return import_deb(self._transaction, path, package, stop=self._stop)

    def _collect(self, *, until: int) -> None:
        """Take what is done, at once; wait only while more than `until` are running."""
        while self._running:
            patience = None if len(self._running) > until else 0
            done, _ = wait(self._running, timeout=patience, return_when=FIRST_COMPLETED)
            if not done:
                return
            # The refusal of a package is what the user must hear, not what followed from it.
            for future in sorted(done, key=_is_consequence):
                package = self._running.pop(future)
                self.refs.append((f"deb/{package.sha256}", future.result()))
                self.size += package.size
                self._emit(
                    PhaseProgress(
                        Phase.IMPORT,
                        done=len(self.refs),
                        bytes_done=self.size,
                        item=package.name,
                    )
                )


def _is_consequence(future: Future[Sha256]) -> bool:
    return not isinstance(future.exception(), PackageError)
