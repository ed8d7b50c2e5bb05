"""An HTTP server of a test: on a free port of loopback, in threads, gone when the block ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def get_request(self) -> tuple[socket.socket, object]:
        """As servers do: without it each file comes 40 ms after its head (Nagle, delayed ACK)."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def handle_error(self, *_args: object) -> None:
        """A client that hangs up is part of the tests."""


@contextlib.contextmanager
def answering(
    handler: Callable[..., BaseHTTPRequestHandler], *, certificate: Path | None = None
) -> Iterator[int]:
    """Let `handler` answer on 127.0.0.1, over TLS with a `certificate`; returns the port."""
    with _Threads(("127.0.0.1", 0), handler) as http:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield http.server_address[1]
        finally:
            http.shutdown()
            thread.join(timeout=10)
