"""Small rules of the archive room that need no archive."""

from __future__ import annotations

import io
import os.path
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolmen.archive import protocol
from dolmen.archive.configuration import passed_environment, source_set
from dolmen.archive.credentials import login, without_password
from dolmen.archive.records import is_pool_path
from dolmen.archive.requests import suggestions
from dolmen.archive.snapshot import effective_uris, snapshot_uri
from dolmen.archive.transport import RefusedError, Transport, _checked
from dolmen.model import Source
from dolmen.support.errors import (
    ArchiveError,
    DeclarationError,
    DolmenError,
    SolveError,
    StoreError,
)
from dolmen.support.events import Event, Notice, Phase, PhaseFinished, PhaseProgress

HOST = "http://a.example.org"


@given(st.text(alphabet="ab./%2eE5cf\\\0 ~+", max_size=40))
def test_accepted_pool_paths_stay_inside(path: str) -> None:
    if is_pool_path(path):
        for seen in (path, unquote(path)):
            inside = os.path.normpath(os.path.join("/pool-root", seen))
            assert inside.startswith("/pool-root/")


def test_real_pool_paths_are_accepted() -> None:
    for path in (
        "pool/main/g/gcc-12/libstdc++6_12.2.0-14+deb12u1_amd64.deb",
        "pool/updates/main/o/openssl/openssl_3.0.17-1~deb12u2_amd64.deb",
        "pool/main/x/x_1%3a2_all.deb",
    ):
        assert is_pool_path(path)


NAMES = ["python3-requests", "libpng-dev", "ripgrep", "nodejs", "curl", "libwww-perl", "golang-go"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("requests", "python3-requests"),
        ("python-requests", "python3-requests"),
        ("png", "libpng-dev"),
        ("ripgerp", "ripgrep"),
        ("node", "nodejs"),
        ("crul", "curl"),
        ("golang", "golang-go"),
        ("python3_requests", "python3-requests"),
    ],
)
def test_suggestions(typed: str, meant: str) -> None:
    assert suggestions(typed, NAMES)[0] == meant


def test_no_suggestions_for_nonsense() -> None:
    assert suggestions("qqqqqqqq", NAMES) == []


def test_events_and_errors_cross_the_pipe() -> None:
    stream = io.StringIO()
    sent: list[Event] = [
        PhaseProgress(Phase.UPDATE, 1, 2, 3, 4, "x\n\u2028"),
        PhaseFinished(Phase.SOLVE, 5, 0.5),
        Notice("hello"),
    ]
    emit = protocol.event_writer(stream)
    for event in sent:
        emit(event)
    error = SolveError("m", reason="r", context="c", hint="h", details=["d"])
    protocol.write_error(stream, error)
    protocol.write_result(stream, {"packages": []})
    got: list[Event] = []
    *lines, last = stream.getvalue().encode().splitlines(keepends=True)
    for line in lines[:-1]:
        assert protocol.read_line(line, got.append) is None
    assert got == sent
    with pytest.raises(SolveError) as caught:
        protocol.read_line(lines[-1], got.append)
    assert vars(caught.value) == vars(error)
    assert protocol.read_line(last, got.append) == {"packages": []}


@pytest.mark.parametrize("line", [b"", b"x", b"{}", b"[]", b'{"event": "Evil", "values": {}}'])
def test_nonsense_on_the_pipe(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        protocol.read_line(line, lambda event: None)


def test_snapshot_uris() -> None:
    stamp = "20260131T000000Z"
    at = f"http://s.example.org/archive/debian-security/{stamp}/"
    assert snapshot_uri(f"{HOST}/debian-security/", stamp, "http://s.example.org/") == at
    other = "http://s.example.org/archive/debian-security/20250101T000000Z"
    assert snapshot_uri(other, stamp) == at
    assert snapshot_uri(f"{HOST}/debian", stamp) is None
    assert effective_uris(Source((f"{HOST}/debian",), ("sid",))) == (f"{HOST}/debian",)
    with pytest.raises(ArchiveError) as caught:
        effective_uris(Source((f"{HOST}/debian",), ("sid",), snapshot=stamp))
    assert caught.value.reason == "no-snapshot-service"


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("*", True),
        ("example.org", True),
        (".example.org", True),
        ("*.example.org", True),
        ("a.example.org:80", True),
        ("b.example.org, localhost", False),
        ("ample.org", False),
    ],
)
def test_proxies(no_proxy: str, direct: bool) -> None:
    transport = Transport({"http_proxy": "http://user:word@p:3128", "no_proxy": no_proxy})
    proxy = transport._proxy(_checked(f"{HOST}/x"))
    assert (proxy is None) is direct
    assert transport._proxy(_checked("https://a.example.org/x")) is None


def test_a_kind_of_proxy_that_is_not_supported() -> None:
    with pytest.raises(RefusedError):
        Transport({"all_proxy": "socks5h://p:1"})._proxy(_checked(f"{HOST}/x"))


@pytest.mark.parametrize("uri", ["ftp://a/x", "http:///x", "http://a:b/x", "javascript:1", "//a/x"])
def test_strange_addresses(uri: str) -> None:
    with pytest.raises(RefusedError):
        Transport({}).get(uri)


def test_upper_case_proxies_are_ignored() -> None:
    """HTTP_PROXY may come from a request header (httpoxy)."""
    assert passed_environment({"HTTP_PROXY": "http://evil", "http_proxy": "http://good"}) == {
        "http_proxy": "http://good"
    }


def test_a_state_directory_that_apt_cannot_name(tmp_path: Path) -> None:
    source = Source((f"{HOST}/debian",), ("sid",), signed_by="-----BEGIN PGP PUBLIC KEY BLOCK-----")
    source_set([source], ("amd64",), tmp_path / "with space")
    with pytest.raises(StoreError) as caught:
        source_set([source], ("amd64",), tmp_path / 'with"quote')
    assert caught.value.reason == "bad-path"
    assert isinstance(caught.value, DolmenError)


def test_passwords_come_from_netrc_and_go_over_tls_only(tmp_path: Path) -> None:
    path = tmp_path / ".netrc"
    environ = {"HOME": str(tmp_path)}
    parts = urlsplit("https://a.example.org/debian")
    assert login(parts, environ) is None
    path.write_text("machine a.example.org login me password secret\n")
    assert login(parts, environ) == ("me", "secret")
    assert login(urlsplit("https://b.example.org/"), environ) is None
    assert login(urlsplit("http://a.example.org/debian"), environ) is None
    path.write_text("machine machine machine")
    assert login(parts, environ) is None


def test_no_password_in_a_uri(tmp_path: Path) -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
    source_set([Source(("https://a.example.org/debian",), ("sid",), signed_by=key)], (), tmp_path)
    with pytest.raises(DeclarationError) as caught:
        source_set(
            [Source(("https://m:s@a.example.org/debian",), ("sid",), signed_by=key)], (), tmp_path
        )
    assert caught.value.reason == "password-in-uri"
    assert "m:s" not in f"{vars(caught.value)}"
    assert (
        without_password("https://m:s@a.example.org:8/debian") == "https://a.example.org:8/debian"
    )


def test_what_libapt_says_is_told_once_and_in_lines() -> None:
    pytest.importorskip("apt_pkg")
    from dolmen.archive.acquire import told

    message = (
        "404  Not Found\nE:The repository 'x' does not have a Release file., "
        "W:Updating from such a repository can't be done securely, and so on., "
        "W:See apt-secure(8) manpage for details., "
        "E:The repository 'y, z' does not have a Release file.\n404  Not Found"
    )
    assert told(message) == [
        "404  Not Found",
        "The repository 'x' does not have a Release file.",
        "The repository 'y, z' does not have a Release file.",
    ]
