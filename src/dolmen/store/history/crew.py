"""A few threads for calls into libostree, which let go of Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from gi.repository import Gio

T = TypeVar("T")
# Asked for here, since the bindings do not make members safely when several threads ask first.
_USED = (Gio.Cancellable.is_cancelled, Gio.Cancellable.cancel)


def size(most: int) -> int:
    """How many threads are worth their while here."""
    return min(len(os.sched_getaffinity(0)), most)


def work(
    function: Callable[[T], None], pieces: Iterable[T], stop: Gio.Cancellable, most: int
) -> None:
    """Call `function` for each piece, in their order, by several threads.

    At the first error, or when the caller is interrupted, `stop` is told, no piece is begun any
    more, and the error is raised when all have come to their end. (concurrent.futures would do, but
    to import it takes as long as a small commit.)
    """
    waiting = iter(list(pieces))
    lock = threading.Lock()
    failed: list[BaseException] = []

    def serve() -> None:
        while not stop.is_cancelled():
            with lock:
                piece = next(waiting, None)
            if piece is None:
                return
            try:
                function(piece)
            except BaseException as error:
                with lock:
                    failed.append(error)
                stop.cancel()

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(size(most))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        stop.cancel()
        for thread in threads:
            thread.join()
        raise
    if failed:
        # The first is the cause: the others were told to stop.
        raise failed[0]
