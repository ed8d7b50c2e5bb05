"""flock(2) on files: a lock ends with its holder, so a killed process never leaves one behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from dolmen.support.clock import monotonic
from dolmen.support.errors import BusyError
from dolmen.support.events import Emit, Waiting, ignore

_POLL_SECONDS = 0.05
DEFAULT_TIMEOUT = 3600.0


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    what: str,
    shared: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    emit: Emit = ignore,
) -> Iterator[None]:
    """Hold the lock file `path` (made if missing), waiting at most `timeout` seconds.

    `what` names the thing for the user. The descriptor is close-on-exec: children do not keep it.
    Raises BusyError (reason "busy") when the wait took too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        deadline = monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    emit(Waiting(what))
                    told = True
                if monotonic() >= deadline:
                    raise BusyError(
                        f"another process has held {what} for more than {timeout:.0f} s",
                        context=str(path),
                        hint=f"see who holds it: fuser -v {path}",
                    ) from None
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(fd)
