"""Import of many .debs side by side, while they are still being fetched."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from dolmen.model import LockedPackage, Sha256
from dolmen.store.importing import import_deb
from dolmen.store.transaction import Transaction
from dolmen.support import clock
from dolmen.support.errors import PackageError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted

#: Decoders hold up to 65 MiB each; more threads than this gain nothing on usual disks either.
_MAX_WORKERS = 6


def import_all(
    transaction: Transaction,
    debs: Iterable[tuple[LockedPackage, Path]],
    *,
    known: set[Sha256],
    emit: Emit,
) -> None:
    """Import what is not `known` in one transaction.

    Decompression, hashing and writing happen outside Python's lock, so threads are enough.
    A bad package aborts everything, so that nothing of it becomes visible. When `debs` itself
    fails (a download), what was imported until then is kept, and its error goes on.
    """
    workers = min(len(os.sched_getaffinity(0)), _MAX_WORKERS)
    started = clock.monotonic()
    refs: list[tuple[str, str]] = []
    running: dict[Future[Sha256], LockedPackage] = {}
    size = cached = 0
    stop = threading.Event()

    def work(path: Path, package: LockedPackage) -> Sha256:
        if stop.is_set():
            raise PackageError("not needed any more")
        return import_deb(transaction, path, package)

    def collect(*, until: int) -> None:
        nonlocal size
        while len(running) > until:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                package = running.pop(future)
                refs.append((f"deb/{package.sha256}", future.result()))
                size += package.size
                emit(
                    PhaseProgress(Phase.IMPORT, done=len(refs), bytes_done=size, item=package.name)
                )

    emit(PhaseStarted(Phase.IMPORT))
    try:
        with ThreadPoolExecutor(workers, thread_name_prefix="import") as pool:
            try:
                for package, path in debs:
                    if package.sha256 in known:
                        cached += 1
                        continue
                    known.add(package.sha256)
                    running[pool.submit(work, path, package)] = package
                    # A few wait in line, so that no worker idles; more would only pile up.
                    collect(until=2 * workers)
            except (PackageError, MemoryError, KeyboardInterrupt):
                stop.set()
                raise
            except Exception:
                collect(until=0)
                transaction.finish(refs)
                raise
            collect(until=0)
        transaction.finish(refs)
    except BaseException:
        stop.set()
        transaction.abort()
        raise
    emit(PhaseFinished(Phase.IMPORT, len(refs) + cached, clock.monotonic() - started, size, cached))
