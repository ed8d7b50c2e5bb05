"""The worker process: update the index where asked, do one task on it, and say the answer.

Started by `archive.asking` for one request, because libapt's configuration is global to a process.
It takes the lock on its source set itself: a lock held by a dead parent would protect nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

from dolmen.archive.protocol import event_writer, write_error, write_result
from dolmen.archive.storage import storage_error
from dolmen.support.errors import DolmenError
from dolmen.support.events import Emit


def main() -> int:
    """Read a request from standard input, answer on standard output."""
    out = _private_stdout()
    try:
        request = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=_die_with_parent, daemon=True).start()
        write_result(out, _serve(request, event_writer(out)))
    except DolmenError as error:
        write_error(out, error)
    except OSError as error:
        write_error(out, storage_error(error))
    return 0


def _die_with_parent() -> None:
    """End with whoever asked, apt's methods included: nobody else would ever stop an update."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def _private_stdout() -> IO[str]:
    """Keep the real standard output for the protocol; whatever else prints goes to stderr."""
    fd = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(fd, "w", encoding="utf-8")


def _serve(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    import apt_pkg

    apt_pkg.init_config()
    apt_pkg.init_system()
    apt_pkg.config.set("APT::Install-Recommends", "true" if request["recommends"] else "false")
    from dolmen.archive.index import Index

    index = Index(
        Path(request["root"]), Path(request["marks"]), request["sources"], request["slow"], emit
    )
    if request.get("max_age") is not None:
        index.max_age = request["max_age"]
    with index.opened(refresh=request["refresh"], locked=frozenset(request["locked"])):
        if request["task"] == "catalogue":
            from dolmen.archive.cataloguing import write_catalogue

            return write_catalogue(index, request, emit)
        if request["task"] in ("contents", "descriptions"):
            return {"files": index.further(request["task"])}
        from dolmen.archive.solver import Solver

        return Solver(index, request, emit).result()
