"""Unit tests talk to nobody: connections and look-ups beyond this machine are refused."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import settings

# A loaded machine is no reason to fail; pytest's own time-out bounds a test.
settings.register_profile("dolmen", deadline=None, max_examples=60)
settings.load_profile("dolmen")

_real_connect = socket.socket.connect
_real_connect_ex = socket.socket.connect_ex
_real_getaddrinfo = socket.getaddrinfo


class NetworkForbiddenError(RuntimeError):
    pass


def _check(host: object) -> None:
    if host in (None, "", "localhost", b"localhost"):
        return
    try:
        if ipaddress.ip_address(host).is_loopback:  # type: ignore[arg-type]
            return
    except ValueError:
        pass
    raise NetworkForbiddenError(f"a unit test tried to reach {host!r}")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_address(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            _check(address[0])

    def connect(self: socket.socket, address: Any) -> None:
        check_address(self, address)
        _real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        check_address(self, address)
        return _real_connect_ex(self, address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check(host)
        return _real_getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
