"""A repository over HTTP: its files for those who pull, and a door for those who push.

Only what libostree asks for has a name here; nothing is unquoted, and no link in the repository is
followed. A push needs the token, and is then the same talk as over ssh (`wire`), after HTTP's
"101 Switching Protocols". For TLS put a web server in front of it.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import socket
import stat
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dolmen.store.history.receiving import receive
from dolmen.store.history.repository import History
from dolmen.store.history.wire import SocketWire
from dolmen.support.errors import DolmenError, HostError, UsageError
from dolmen.support.events import Emit, Notice, ignore
from dolmen.support.files import write_atomic

PROTOCOL = "dolmen-push"
PUSH = "/push"
#: Connections at once, of them pushes; seconds that a request may take to come.
_MOST, _PUSHES = 64, 4
_PATIENCE = 20.0
_LEAST_TOKEN = 20
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_BASE64 = r"[A-Za-z0-9+_=-]+"
_PATHS = re.compile(
    rf"/(?:config|summary|summary\.sig|refs/heads/{_NAME}(?:/{_NAME})*"
    r"|objects/[0-9a-f]{2}/[0-9a-f]{62}\.(?:filez|commit|dirtree|dirmeta|commitmeta)"
    rf"|deltas/{_BASE64}/{_BASE64}/(?:superblock|[0-9]{{1,6}})"
    rf"|delta-indexes/{_BASE64}/{_BASE64}\.index)"
)


def make_token(path: Path) -> str:
    """The token in a file that only its owner reads; made where there is none.

    Raises HostError ("bad-token"), OSError.
    """
    if not os.path.lexists(path):
        write_atomic(path, secrets.token_urlsafe(32) + "\n", mode=0o600)
    return read_token(path)


def read_token(path: Path) -> str:
    """A token from a file; raises HostError ("bad-token"), OSError."""
    status = path.stat()
    token = path.read_text(errors="replace").strip()
    if stat.S_IMODE(status.st_mode) & 0o077 or not re.fullmatch(r"[!-~]{20,200}", token):
        raise HostError(
            f"{path} can be read by others, or holds no token of {_LEAST_TOKEN} characters or more",
            reason="bad-token",
            hint=f"rm {path}; dolmen store serve --token-file={path}",
        )
    return token


class Server(ThreadingHTTPServer):
    """Serves one repository; `serve_forever` until `shutdown`.

    `token`: who knows it may push (None: nobody); `forcing`, `only`: as of `receive`. Raises
    UsageError ("usage") for a repository that nobody could pull from, HostError ("os-error").
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        path: Path,
        address: tuple[str, int],
        *,
        token: str | None = None,
        forcing: bool = True,
        only: Sequence[str] = (),
        emit: Emit = ignore,
    ) -> None:
        history = History.open(path)
        if history.mode != "archive" and token is None:
            raise UsageError(
                f"a repository of mode {history.mode} cannot be pulled from over HTTP",
                hint="dolmen store --repo=DIR init --mode=archive; dolmen store push DIR",
            )
        self.path, self.token, self.forcing, self.only = path, token, forcing, only
        self.readable = history.mode == "archive"
        self.emit = emit
        self._room = threading.BoundedSemaphore(_MOST)
        self.pushes = threading.BoundedSemaphore(_PUSHES)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise HostError(
                f"cannot listen on {address[0]} port {address[1]}: {error.strerror}",
                reason="os-error",
                hint="dolmen store serve --listen=127.0.0.1:0",
            ) from None

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/"

    def process_request(self, request: object, client_address: object) -> None:
        """One thread a connection, as long as there is room; others are turned away at once."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Give the room back at the end."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is nobody's error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "dolmen", ""
    timeout = _PATIENCE
    # A file goes after its head: otherwise it would wait for the other side to confirm that, 40 ms.
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._file(send=True)

    def do_HEAD(self) -> None:
        self._file(send=False)

    def do_POST(self) -> None:
        self.close_connection = True
        upgrade = self.headers.get("Upgrade", "")
        if self.path != PUSH or upgrade != PROTOCOL:
            self._refuse(404)
            return
        given = self.headers.get("Authorization", "")
        wanted = f"Bearer {self.server.token}"
        if self.server.token is None or not hmac.compare_digest(given.encode(), wanted.encode()):
            self._refuse(401)
            return
        if not self.server.pushes.acquire(blocking=False):
            self._refuse(503)
            return
        try:
            self._push()
        finally:
            self.server.pushes.release()

    def _push(self) -> None:
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", PROTOCOL)
        self.end_headers()
        self.wfile.flush()
        try:
            moved = receive(
                History.open(self.server.path),
                SocketWire(self.connection),
                forcing=self.server.forcing,
                only=self.server.only,
            )
        except DolmenError as error:
            self._say(f"push refused: {error.message}")
        else:
            for name, checksum in moved.items():
                self._say(f"{name} -> {checksum[:12]}")

    def _file(self, *, send: bool) -> None:
        stream = None
        if self.server.readable and _PATHS.fullmatch(self.path):
            stream = _open(self.server.path, self.path)
        if stream is None:
            self._refuse(404)
            return
        with stream:
            size = os.fstat(stream.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if send:
                self.wfile.flush()
                self.connection.sendfile(stream, 0, size)

    def _refuse(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        if code == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Of requests that are none, and of methods that are not here."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self._refuse(405 if code == 501 else code)

    def log_message(self, format: str, *args: object) -> None:
        """Reads are not worth a line."""

    def _say(self, words: str) -> None:
        self.server.emit(Notice(f"{self.client_address[0]}: {words}"))


def _open(repo: Path, path: str) -> socket.SocketIO | None:  # a file; typed for sendfile
    parts = path[1:].split("/")
    fd = os.open(repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            below = os.open(part, flags, dir_fd=fd)
        except OSError:
            return None
        finally:
            os.close(fd)
        fd = below
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        if kind != (stat.S_IFDIR if number < len(parts) else stat.S_IFREG):
            os.close(fd)
            return None
    return os.fdopen(fd, "rb")  # type: ignore[return-value]
