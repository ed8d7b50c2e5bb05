import socket

import pytest

from tests.unit.conftest import NetworkForbiddenError


def test_loopback_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address, timeout=5) as client:
            assert client.getpeername() == address
        assert socket.getaddrinfo("localhost", address[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "archive.example"])
def test_the_world_is_not(host: str) -> None:
    with pytest.raises(NetworkForbiddenError):
        socket.create_connection((host, 80), timeout=5)
    with pytest.raises(NetworkForbiddenError):
        socket.getaddrinfo(host, 80)
    with (
        socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock,
        pytest.raises(NetworkForbiddenError),
    ):
        sock.connect_ex((host, 80))
