"""A mirror on loopback that both sides use, so that the network's mood is not measured.

It serves the host's own Debian archive from a directory; what is missing there is fetched from
upstream once and counted, so that a run that had to wait for it can be thrown away. Indices and
signatures are the archive's own: both sides parse and verify what they would in earnest.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_TIMEOUT = 120
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def upstream(suite: str) -> tuple[str, str]:
    """The URI of the host's Debian archive, and the key file it is signed by.

    The host's own suite may be another one: an archive serves them all under one URI.
    """
    argv = ["apt-get", "indextargets", "Created-By: Packages"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        if fields.get("Origin") == "Debian" and "-" not in fields.get("Codename", "-"):
            return fields["Repo-URI"].rstrip("/"), fields.get("Signed-By", _KEYRING)
    raise SystemExit(f"apt's configuration names no Debian archive that may have {suite}")


class Mirror:
    """Serves `directory` and fills it from `source`; `fetched` counts what was not there."""

    def __init__(self, directory: Path, source: str) -> None:
        self.directory = directory
        self.source = source
        self.fetched = 0
        self._missing: set[str] = set()
        self._guard = threading.Lock()
        mirror = self

        class Handler(_Handler):
            def find(self, path: str) -> Path | None:
                return mirror.find(path)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def uri(self) -> str:
        """What goes into a sources list."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/debian"

    @contextlib.contextmanager
    def serving(self) -> Iterator[Mirror]:
        """Answer requests for the time of the block."""
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()

    def find(self, path: str) -> Path | None:
        """The file of a request's path, None for what is not there."""
        name = path.partition("?")[0].removeprefix("/debian/")
        local = self.directory / name
        if ".." in name.split("/"):
            return None
        if local.is_file():
            return local
        with self._guard:
            if name in self._missing:
                return None
            return local if local.is_file() or self._record(name, local) else None

    def _record(self, name: str, local: Path) -> bool:
        self.fetched += 1
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.part")
        try:
            with (
                urllib.request.urlopen(f"{self.source}/{name}", timeout=_TIMEOUT) as answer,
                partial.open("wb") as stream,
            ):
                while block := answer.read(1 << 20):
                    stream.write(block)
        except urllib.error.HTTPError:
            self._missing.add(name)
            return False
        partial.rename(local)
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # As servers do: without it each file would come 40 ms after its head.
    disable_nagle_algorithm = True

    def find(self, path: str) -> Path | None:
        """The file that answers a request; subclasses know some."""
        return None

    def do_GET(self) -> None:
        path = self.find(self.path)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = self._start(size)
            self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.flush()
                with contextlib.suppress(ConnectionError):
                    self.connection.sendfile(stream, start)

    do_HEAD = do_GET  # noqa: N815

    def _start(self, size: int) -> int:
        wanted = self.headers.get("Range", "")
        first = wanted.removeprefix("bytes=").partition("-")[0]
        return int(first) if first.isdecimal() and int(first) < size else 0

    def log_message(self, format: str, *args: object) -> None:
        pass
