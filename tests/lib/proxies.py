"""A forwarding HTTP proxy on loopback: the way to the real archive for a machine without a network.

What never changes under its name (pool files, indexes by hash) is fetched once and kept; what is
here already under another name (the .debs of a store) is not fetched at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from dolmen.archive.transport import GoneError, RefusedError, Transport, UnavailableError
from dolmen.model import Lock
from tests.lib.serving import answering

_LASTING = ("/pool/", "/by-hash/")


@dataclass
class Proxy:
    """`known`: files that stand for URIs. `asked`: every URI, in order."""

    cache: Path
    known: Mapping[str, Path] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def count(self, part: str) -> int:
        """How many URIs had `part` in them."""
        return sum(part in uri for uri in self.asked)

    def get(self, uri: str) -> bytes:
        """What is there; raises what Transport does."""
        self.asked.append(uri)
        known = self.known.get(uri)
        if known is not None and known.is_file():
            return known.read_bytes()
        lasting = any(part in uri for part in _LASTING)
        kept = self.cache / hashlib.sha256(uri.encode()).hexdigest()
        if lasting and kept.is_file():
            return kept.read_bytes()
        transport = Transport()
        try:
            content = b"".join(transport.get(uri, fresh=not lasting).chunks)
        finally:
            transport.close()
        if lasting:
            # Two may fetch the same at once: each renames a file of its own.
            part = kept.with_name(f"{kept.name}.{threading.get_ident()}")
            part.write_bytes(content)
            part.replace(kept)
        return content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    proxy: Proxy

    def do_GET(self) -> None:
        status, content = 200, b""
        try:
            if not self.path.startswith("http://"):
                status = 400
            else:
                content = self.proxy.get(self.path)
        except GoneError:
            status = 404
        except (RefusedError, UnavailableError):
            status = 502
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `Proxy.asked`."""


@contextlib.contextmanager
def forwarding(cache: Path, known: Mapping[str, Path] | None = None) -> Iterator[Proxy]:
    """Run a proxy on a free port of 127.0.0.1 until the block ends."""
    cache.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(cache, known or {})
    handler = type("BoundHandler", (_Handler,), {"proxy": proxy})
    with answering(handler) as proxy.port:
        yield proxy


def debs_of(lock: Lock, directory: Path) -> dict[str, Path]:
    """The URIs of a lock's .debs, and where a store's directory of them has each."""
    return {
        f"{lock.releases[package.release].uri.rstrip('/')}/{package.filename}": directory
        / f"{package.sha256}.deb"
        for package in lock.packages
        if not package.is_local
    }
