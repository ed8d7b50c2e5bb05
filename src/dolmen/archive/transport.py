"""HTTP and file transport for one thread: keep-alive, ranges, redirects within strict bounds.

Bodies are handed out piece by piece and are never trusted here; `archive.fetch` checks size and
hash. A transport can be cut off from another thread (`abort`), which is how slow mirrors end.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import dolmen
from dolmen.archive.credentials import login

#: Seconds to connect, and to wait for the next byte.
CONNECT_TIMEOUT = 15.0
READ_TIMEOUT = 30.0

MAX_REDIRECTS = 5

_CHUNK = 256 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class UnavailableError(Exception):
    """The other side did not answer properly; trying again may help."""


class GoneError(Exception):
    """The other side says that it does not have the file."""


class RefusedError(Exception):
    """What the other side wants is not done: a downgrade, too many redirects, a strange URI."""


@dataclass(frozen=True, slots=True)
class Body:
    """An answer: where its first byte belongs in the file, the file's size if told, the bytes."""

    start: int
    total: int | None
    chunks: Iterator[bytes]


class Transport:
    """The connections of one thread; close it when done."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._connections: dict[tuple[str, str, int | None], HTTPConnection] = {}
        self._current: HTTPConnection | None = None

    def get(self, uri: str, *, start: int = 0, fresh: bool = False) -> Body:
        """Ask for a file from byte `start` on; `fresh` asks caches on the way to look again.

        Raises UnavailableError, GoneError and RefusedError; so does reading the chunks.
        """
        for _hop in range(MAX_REDIRECTS + 1):
            parts = _checked(uri)
            if parts.scheme == "file":
                return _file(parts, start)
            response = self._ask(parts, start, fresh)
            if response.status not in _REDIRECTS:
                return self._body(parts, response, start)
            uri = self._redirected(uri, parts, response)
        raise RefusedError(f"more than {MAX_REDIRECTS} redirects")

    def size(self, uri: str) -> int | None:
        """How large a file is; None where the other side does not say. Raises as `get` does."""
        parts = _checked(uri)
        if parts.scheme == "file":
            return _file(parts, 0).total
        response = self._ask(parts, 0, False, method="HEAD")
        response.read()
        if response.will_close:
            self._drop(parts)
        if response.status != 200:
            raise GoneError(f"{response.status} {_shown(response.reason)}")
        length = response.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None

    def abort(self) -> None:
        """Break what is being read, from another thread."""
        connection = self._current
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError, ValueError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _ask(
        self, parts: SplitResult, start: int, fresh: bool, *, method: str = "GET"
    ) -> HTTPResponse:
        """Send a request; a kept connection that the server has closed meanwhile is opened anew."""
        for attempt in range(2):
            key, connection, kept = self._connection(parts)
            self._current = connection
            try:
                connection.request(
                    method,
                    self._target(parts),
                    headers=_headers(parts, start, fresh) | self._proxy_headers(parts),
                )
                if connection.sock is not None:
                    connection.sock.settimeout(READ_TIMEOUT)
                return connection.getresponse()
            except (OSError, HTTPException, ValueError) as error:
                connection.close()
                self._connections.pop(key, None)
                if attempt or not kept or isinstance(error, TimeoutError):
                    raise UnavailableError(_told(error)) from None
        raise UnavailableError("no answer")

    def _connection(
        self, parts: SplitResult
    ) -> tuple[tuple[str, str, int | None], HTTPConnection, bool]:
        host = parts.hostname or ""
        key = (parts.scheme, host, parts.port)
        kept = self._connections.get(key)
        if kept is not None:
            return key, kept, True
        proxy = self._proxy(parts)
        if proxy is None:
            kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
            connection = kind(host, parts.port, timeout=CONNECT_TIMEOUT)
        elif parts.scheme == "https":
            connection = HTTPSConnection(
                proxy.hostname or "", proxy.port or 8080, timeout=CONNECT_TIMEOUT
            )
            connection.set_tunnel(host, parts.port, headers=dict(_proxy_authorization(proxy)))
        else:
            connection = HTTPConnection(
                proxy.hostname or "", proxy.port or 8080, timeout=CONNECT_TIMEOUT
            )
        self._connections[key] = connection
        return key, connection, False

    def _target(self, parts: SplitResult) -> str:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http" and self._proxy(parts) is not None:
            return f"http://{parts.netloc.rpartition('@')[2]}{path}"
        return path

    def _proxy(self, parts: SplitResult) -> SplitResult | None:
        """The proxy for a URI, from http_proxy, https_proxy, all_proxy and no_proxy.

        Only in lower case: HTTP_PROXY may come from a request's "Proxy" header (httpoxy).
        """
        value = self._environ.get(f"{parts.scheme}_proxy") or self._environ.get("all_proxy")
        if not value:
            return None
        host = parts.hostname or ""
        for name in self._environ.get("no_proxy", "").replace(",", " ").split():
            bare = name.lstrip("*").lstrip(".").partition(":")[0]
            if name == "*" or (bare and (host == bare or host.endswith(f".{bare}"))):
                return None
        proxy = urlsplit(value if "://" in value else f"http://{value}")
        if proxy.scheme != "http" or not proxy.hostname:
            raise RefusedError(f"a proxy of the kind {proxy.scheme} is not supported")
        return proxy

    def _proxy_headers(self, parts: SplitResult) -> dict[str, str]:
        proxy = self._proxy(parts) if parts.scheme == "http" else None
        return _proxy_authorization(proxy) if proxy is not None else {}

    def _redirected(self, uri: str, parts: SplitResult, response: HTTPResponse) -> str:
        location = response.headers.get("Location", "")
        self._drop(parts)
        if not location or re.search(r"[\x00-\x20\x7f-\uffff]", location):
            raise RefusedError("a redirect to a malformed address")
        target = urljoin(uri, location)
        scheme = urlsplit(target).scheme
        if scheme != parts.scheme and (parts.scheme, scheme) != ("http", "https"):
            raise RefusedError(f"a redirect from {parts.scheme} to {scheme[:20]}")
        return target

    def _body(self, parts: SplitResult, response: HTTPResponse, start: int) -> Body:
        status = response.status
        length = response.headers.get("Content-Length", "")
        size = int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
        if status == 200:
            return Body(0, size, self._chunks(parts, response))
        if status == 206:
            match = re.fullmatch(
                r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)",
                response.headers.get("Content-Range", "").strip(),
            )
            if match is not None and int(match[1]) == start:
                total = int(match[2]) if match[2] != "*" else None
                return Body(start, total, self._chunks(parts, response))
        self._drop(parts)
        if status == 416 and start:
            return self.get(parts.geturl())
        if status in (404, 410):
            raise GoneError(f"{status} {_shown(response.reason)}")
        if status in (401, 403, 407):
            raise RefusedError(f"{status} {_shown(response.reason)}")
        raise UnavailableError(f"{status} {_shown(response.reason)}")

    def _chunks(self, parts: SplitResult, response: HTTPResponse) -> Iterator[bytes]:
        whole = False
        try:
            # read1 returns what is there: with read() a trickling peer would hold us for hours
            while chunk := response.read1(_CHUNK):
                yield chunk
            # it does not notice the end of a body by itself, and the connection would be lost
            whole = not response.length
            response.close()
        except (OSError, HTTPException, ValueError) as error:
            raise UnavailableError(_told(error)) from None
        finally:
            if not whole or response.will_close:
                self._drop(parts)

    def _drop(self, parts: SplitResult) -> None:
        connection = self._connections.pop((parts.scheme, parts.hostname or "", parts.port), None)
        if connection is not None:
            connection.close()


def _checked(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise RefusedError("a malformed address") from None
    if parts.scheme not in ("http", "https", "file") or (
        parts.scheme != "file" and not parts.hostname
    ):
        raise RefusedError(f"an address of the kind {parts.scheme[:20]!r}")
    return parts


def _file(parts: SplitResult, start: int) -> Body:
    path = Path(unquote(parts.path))
    try:
        stream = path.open("rb")
        size = os.fstat(stream.fileno()).st_size
        start = start if start <= size else 0
        stream.seek(start)
    except (FileNotFoundError, NotADirectoryError):
        raise GoneError("no such file") from None
    except OSError as error:
        raise UnavailableError(_told(error)) from None

    def chunks() -> Iterator[bytes]:
        with stream:
            try:
                while chunk := stream.read(_CHUNK):
                    yield chunk
            except OSError as error:
                raise UnavailableError(_told(error)) from None

    return Body(start, size, chunks())


def _headers(parts: SplitResult, start: int, fresh: bool) -> dict[str, str]:
    headers = {"User-Agent": f"dolmen/{dolmen.__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if fresh:
        headers["Cache-Control"] = "no-cache"
    known = login(parts)
    if known is not None:
        headers["Authorization"] = _basic(*known)
    return headers


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    return (
        {"Proxy-Authorization": _basic(unquote(proxy.username), unquote(proxy.password or ""))}
        if proxy.username
        else {}
    )


def _basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return _shown(str(error) or type(error).__name__)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]
