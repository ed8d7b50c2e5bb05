"""Pushing to `dolmen store serve` over HTTP, or over HTTPS where a web server stands before it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from dolmen.store.history.pushing import Pushed, wanted_refs
from dolmen.store.history.repository import History
from dolmen.store.history.sending import send
from dolmen.store.history.serving import PROTOCOL, PUSH
from dolmen.store.history.wire import SocketWire
from dolmen.support.errors import ArchiveError, HostError, UsageError

_SECONDS = 30.0
_HEAD = 16 << 10
#: Where a token may go without TLS.
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def push_http(
    history: History,
    url: str,
    names: Sequence[str] = (),
    *,
    token: str,
    force: bool = False,
    depth: int = -1,
    dry_run: bool = False,
    insecure: bool = False,
) -> Pushed:
    """Push refs (default: all) to a server; `insecure`: the token may travel unencrypted.

    Raises what `push_local` may raise, UsageError ("usage"), HostError ("connection-lost",
    "bad-message"), ArchiveError ("push-denied").
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
        raise UsageError(f"{url[:80]!r} is no address to push to", hint="https://HOST/PATH/")
    if parts.scheme == "http" and host not in _HERE and not insecure:
        raise UsageError(
            "without TLS everybody on the way reads the token",
            hint="https://…, ssh://…, or on a network of your own: --insecure",
        )
    wanted = wanted_refs(history, names)
    secure = parts.scheme == "https"
    try:
        connected = socket.create_connection(
            (host, parts.port or (443 if secure else 80)), _SECONDS
        )
        if secure:
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
    except OSError as error:
        raise _lost(f"{host} cannot be reached: {error}") from None
    with connected:
        try:
            _upgrade(connected, parts.netloc, parts.path.rstrip("/") + PUSH, token)
        except OSError as error:
            raise _lost(f"{host} does not answer: {error}") from None
        wire = SocketWire(connected)
        return send(history, wire, wanted, force=force, depth=depth, dry_run=dry_run)


def _upgrade(connected: socket.socket, host: str, path: str, token: str) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n"
        f"Upgrade: {PROTOCOL}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    )
    connected.sendall(head.encode("ascii"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        # Byte by byte: what follows is not HTTP any more.
        byte = connected.recv(1)
        if not byte or len(answer) > _HEAD:
            raise _lost("the server ends in the middle of its answer")
        answer += byte
    words = answer.split(b"\r\n")[0].split()
    status = words[1] if len(words) > 1 and words[0].startswith(b"HTTP/1.") else b""
    if status in (b"401", b"403"):
        raise ArchiveError(
            "the server does not know this token",
            reason="push-denied",
            hint="dolmen store push --token-file=FILE …",
        )
    if status != b"101":
        raise HostError(
            f"the server takes no pushes: {words[1:2] and words[1].decode('ascii', 'replace')}",
            reason="bad-message",
            hint="dolmen store serve --token-file=FILE",
        )


def _lost(what: str) -> HostError:
    return HostError(what, reason="connection-lost", hint="curl -I the same address")
