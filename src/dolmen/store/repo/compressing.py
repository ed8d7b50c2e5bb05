"""Compressors that give the same bytes for the same bytes."""

from __future__ import annotations

import contextlib
import gzip
import subprocess
from collections.abc import Iterator
from typing import IO, cast

from dolmen.support.errors import HostError
from dolmen.support.run import spawn

_ZSTD_SECONDS = 3600


@contextlib.contextmanager
def compressed(stream: IO[bytes], compression: str | None) -> Iterator[IO[bytes]]:
    """A stream whose bytes come compressed (None, "gzip", "zstd") into another.

    Raises HostError ("program-missing", "program-failed").
    """
    if compression == "gzip":
        # Neither a name nor a time in the header.
        with gzip.GzipFile("", "wb", 6, fileobj=stream, mtime=0) as inner:
            yield cast("IO[bytes]", inner)
    elif compression == "zstd":
        stream.flush()
        # One thread: what several write differs from what one writes.
        argv = ["zstd", "-q", "-c", "-T1"]
        with spawn(argv, stdin=subprocess.PIPE, stdout=stream) as child:
            assert child.stdin is not None
            yield child.stdin
            child.stdin.close()
            if child.wait(timeout=_ZSTD_SECONDS):
                raise HostError(
                    "zstd failed", reason="program-failed", hint="dolmen store export -o X.tar.gz"
                )
    else:
        yield stream
