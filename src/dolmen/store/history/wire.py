"""Messages between one who pushes and one who receives, over two descriptors.

A message is a letter, four bytes of length (big-endian) and a payload. Each side waits for the
other's next byte only so long, and takes no message that is longer than it must be.

    receiver                          sender
    H  version and refs       ->
                              <-      U  the refs to move, from what to what
    K                         ->
                              <-      Q  names of objects, 33 bytes each      (any number of times)
    A  a byte each: wanted?   ->
                              <-      O  an object's name and size, then its content in D
                              <-      F  that was all
    R  what has moved         ->
    X  an error, at any time  ->
"""

from __future__ import annotations

import json
import os
import select
import socket
from typing import Any

from dolmen.support.errors import DolmenError, HostError, StoreError

VERSION = 1
#: Bytes of one message; of a piece of content; seconds without a byte from the other side.
LIMIT = 4 << 20
PIECE = 1 << 20
IDLE = 300.0
_BUFFER = 1 << 18


class Wire:
    """One side of a connection."""

    def __init__(self, reading: int, writing: int, *, idle: float = IDLE) -> None:
        self._reading, self._writing, self._idle = reading, writing, idle
        self._waiting: list[bytes] = []
        self._size = 0
        self._buffer = b""

    def send(self, letter: str, payload: bytes = b"") -> None:
        """Send a message, at the latest when one is waited for."""
        self._waiting += [letter.encode(), len(payload).to_bytes(4, "big"), payload]
        self._size += len(payload) + 5
        if self._size >= _BUFFER:
            self.flush()

    def send_value(self, letter: str, value: object) -> None:
        """Send a value as JSON."""
        self.send(letter, json.dumps(value).encode())

    def send_error(self, error: DolmenError) -> None:
        """Tell the other side why this one ends."""
        value = {"message": error.message, "reason": error.reason, "details": error.details[:20]}
        self.send_value("X", value)
        self.flush()

    def flush(self) -> None:
        """Write what waits; raises HostError ("connection-lost")."""
        data = memoryview(b"".join(self._waiting))
        self._waiting, self._size = [], 0
        try:
            while data:
                data = data[self._write(data[:PIECE]) :]
        except (BrokenPipeError, ConnectionResetError):
            self._last_words()
            raise lost("the other side has gone") from None

    def receive(self, *letters: str) -> tuple[str, bytes]:
        """The next message, which must be one of these.

        Raises HostError ("connection-lost", "bad-message"), and what the other side says in X.
        """
        self.flush()
        head = self._take(5)
        letter, size = chr(head[0]), int.from_bytes(head[1:], "big")
        if size > LIMIT or letter not in (*letters, "X"):
            raise _bad(f"{letter!r} of {size} bytes")
        payload = self._take(size)
        if letter == "X":
            raise _error(payload)
        return letter, payload

    def receive_value(self, letter: str) -> Any:
        """The same for a value."""
        payload = self.receive(letter)[1]
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            raise _bad("no JSON") from None

    def _read(self) -> bytes:
        if not select.select([self._reading], [], [], self._idle)[0]:
            raise lost(f"the other side has said nothing for {self._idle:.0f} s")
        return os.read(self._reading, PIECE)

    def _write(self, data: memoryview) -> int:
        if not select.select([], [self._writing], [], self._idle)[1]:
            raise lost(f"the other side has read nothing for {self._idle:.0f} s")
        return os.write(self._writing, data)

    def _take(self, size: int) -> bytes:
        parts = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        left = size - len(parts[0])
        while left:
            piece = self._read()
            if not piece:
                raise lost("the other side has ended")
            parts.append(piece[:left])
            self._buffer = piece[left:]
            left -= len(parts[-1])
        return b"".join(parts)

    def _last_words(self) -> None:
        """Whoever goes says why, if he can."""
        head = self._take(5)
        if head[:1] == b"X" and int.from_bytes(head[1:], "big") <= LIMIT:
            raise _error(self._take(int.from_bytes(head[1:], "big")))


class SocketWire(Wire):
    """The same over a socket, with TLS or without."""

    def __init__(self, connected: socket.socket, *, idle: float = IDLE) -> None:
        super().__init__(-1, -1, idle=idle)
        self._socket = connected
        connected.settimeout(idle)

    def _read(self) -> bytes:
        try:
            return self._socket.recv(PIECE)
        except ConnectionResetError:
            return b""
        except OSError as error:
            raise lost(f"the other side cannot be heard: {error}") from None

    def _write(self, data: memoryview) -> int:
        try:
            return self._socket.send(data)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            raise lost(f"the other side cannot be reached: {error}") from None


def lost(what: str) -> HostError:
    """The connection is no more."""
    return HostError(what, reason="connection-lost", hint="ssh HOST dolmen store --repo=PATH refs")


def _bad(what: str) -> HostError:
    return HostError(
        f"the other side speaks otherwise: {what}",
        reason="bad-message",
        hint="ssh HOST dolmen --version",
    )


def _error(payload: bytes) -> DolmenError:
    try:
        value = json.loads(payload)
        return StoreError(
            f"the other side: {str(value['message'])[:400]}",
            reason=str(value["reason"])[:40],
            details=[str(line)[:400] for line in value["details"]][:20],
            hint="dolmen store push --help",
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return _bad("an error that is none")
