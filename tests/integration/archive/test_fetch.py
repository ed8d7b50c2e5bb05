"""Downloads: resumed, bounded, and never trusted before their hash says so."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dolmen.archive import crew, download, fetch
from dolmen.model import Lock, LockedPackage, ReleaseFile, Sha256
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Event, PhaseFinished, PhaseProgress
from tests.lib.archive import Handler, Server, make_certificate, serve

SIZE = 700_000


def content(number: int) -> bytes:
    return hashlib.shake_256(str(number).encode()).digest(SIZE)


def locked(number: int, release: int = 0) -> LockedPackage:
    data = content(number)
    return LockedPackage(
        name=f"pkg-{number}",
        version="1.0",
        architecture="all",
        sha256=Sha256(hashlib.sha256(data).hexdigest()),
        size=len(data),
        filename=f"pool/p/pkg-{number}_1.0+b1_all.deb",
        release=release,
    )


@pytest.fixture
def lock(server: Server) -> Lock:
    """Four packages; the second URI of the lock holds nothing yet."""
    packages = tuple(locked(number) for number in range(4))
    for number, package in enumerate(packages):
        path = server.root / "debian" / package.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number))
    digest = Sha256("0" * 64)
    return Lock(
        suite="stable",
        architectures=("amd64",),
        inputs=digest,
        solver="",
        releases=(
            ReleaseFile(f"{server.uri}/debian/", "stable", digest, "20260101T000000Z"),
            ReleaseFile(f"{server.uri}/other/", "stable", digest, "20260101T000000Z"),
        ),
        packages=packages,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "debs"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES", (0.01,))


def bring(lock: Lock, cache: Path, *numbers: int, **further: object) -> dict[str, Path]:
    wanted = [lock.packages[n] for n in numbers] if numbers else list(lock.packages)
    return {p.name: path for p, path in fetch(lock, wanted, cache=cache, **further)}  # type: ignore[arg-type]


def refused(lock: Lock, cache: Path, reason: str, *numbers: int) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        bring(lock, cache, *numbers)
    assert caught.value.reason == reason, caught.value.details
    assert caught.value.hint
    assert not list(cache.glob("*.deb"))
    return caught.value


def path_of(lock: Lock, number: int, base: str = "/debian/") -> str:
    return base + lock.packages[number].filename


def test_all_come_once(lock: Lock, cache: Path, server: Server) -> None:
    events: list[Event] = []
    found = bring(lock, cache, emit=events.append)
    assert len(found) == 4
    for number, package in enumerate(lock.packages):
        assert found[package.name].read_bytes() == content(number)
        assert found[package.name].name == f"{package.sha256}.deb"
    last = events[-1]
    assert isinstance(last, PhaseFinished)
    assert (last.count, last.size, last.cached) == (4, 4 * SIZE, 0)
    progress = [e for e in events if isinstance(e, PhaseProgress)]
    assert progress[-1].bytes_done == progress[-1].bytes_total == 4 * SIZE
    assert len(server.requests) == 4
    events.clear()
    assert bring(lock, cache, emit=events.append) == found
    assert len(server.requests) == 4
    assert isinstance(events[-1], PhaseFinished)
    assert events[-1].cached == 4


def test_connections_are_kept(lock: Lock, cache: Path, server: Server) -> None:
    many = [locked(0)] + [
        dataclasses.replace(
            locked(n),
            filename=f"pool/p/x{n}.deb",
            sha256=Sha256(hashlib.sha256(content(n)).hexdigest()),
        )
        for n in range(10, 40)
    ]
    for n, package in enumerate(many[1:], 10):
        (server.root / "debian" / package.filename).write_bytes(content(n))
    assert len(list(fetch(lock, many, cache=cache))) == 31
    assert server.connections <= 6


def test_a_tampered_cache_is_found_out(lock: Lock, cache: Path, server: Server) -> None:
    """R19."""
    found = bring(lock, cache)
    victim = found["pkg-2"]
    victim.chmod(0o644)
    victim.write_bytes(b"x" * SIZE)
    found["pkg-3"].write_bytes(b"")
    before = len(server.requests)
    assert bring(lock, cache)["pkg-2"].read_bytes() == content(2)
    assert len(server.requests) == before + 2


def test_what_is_there_is_not_fetched_again(lock: Lock, cache: Path, server: Server) -> None:
    cache.mkdir()
    (cache / f"{lock.packages[0].sha256}.part").write_bytes(content(0)[:500_000])
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)
    (request,) = server.requests
    assert request[1]["range"] == "bytes=500000-"


@pytest.mark.parametrize("left", [b"wrong" * 1000, b"x" * SIZE, b"y" * (SIZE + 5)])
def test_rubbish_left_by_a_killed_process(
    lock: Lock, cache: Path, server: Server, left: bytes
) -> None:
    cache.mkdir()
    (cache / f"{lock.packages[0].sha256}.part").write_bytes(left)
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)
    assert not list(cache.glob("*.part"))


def test_a_server_without_ranges(lock: Lock, cache: Path, server: Server) -> None:
    cache.mkdir()
    (cache / f"{lock.packages[0].sha256}.part").write_bytes(content(0)[:1000])
    server.rules[path_of(lock, 0)] = lambda handler: handler.answer(200, content(0))
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)


def test_a_connection_that_breaks_is_resumed(lock: Lock, cache: Path, server: Server) -> None:
    def breaking(handler: Handler) -> None:
        del server.rules[path_of(lock, 0)]
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(content(0)[:300_000])
        handler.close_connection = True

    server.rules[path_of(lock, 0)] = breaking
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)
    assert server.requests[1][1]["range"] == "bytes=300000-"


def test_a_changed_deb(lock: Lock, cache: Path, server: Server) -> None:
    """R8: nothing of it stays."""
    bring(lock, cache, 1)
    target = server.root / "debian" / lock.packages[0].filename
    wrong = bytearray(content(0))
    wrong[4711] ^= 1
    target.write_bytes(bytes(wrong))
    with pytest.raises(ArchiveError) as caught:
        bring(lock, cache, 0)
    assert caught.value.reason == "hash-mismatch"
    assert [path.name for path in cache.iterdir()] == [f"{lock.packages[1].sha256}.deb"]


def test_a_poisoned_cache_on_the_way(lock: Lock, cache: Path, server: Server) -> None:
    def stale(handler: Handler) -> None:
        fresh = handler.headers.get("Cache-Control") == "no-cache"
        handler.answer(200, content(0) if fresh else content(9))

    server.rules[path_of(lock, 0)] = stale
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)


def test_a_server_that_has_a_bad_moment(lock: Lock, cache: Path, server: Server) -> None:
    def busy(handler: Handler) -> None:
        del server.rules[path_of(lock, 0)]
        handler.answer(503, b"come back later")

    server.rules[path_of(lock, 0)] = busy
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)


def test_a_mirror_that_is_gone(lock: Lock, cache: Path, server: Server) -> None:
    (server.root / "debian" / lock.packages[0].filename).unlink()
    refused(lock, cache, "mirror-gone", 0)
    other = server.root / "other" / lock.packages[0].filename
    other.parent.mkdir(parents=True)
    other.write_bytes(content(0))
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)


def test_the_snapshot_service_is_the_last_resort(lock: Lock, cache: Path, server: Server) -> None:
    (server.root / "debian" / lock.packages[0].filename).unlink()
    old = server.root / "snap/archive/debian/20260101T000000Z" / lock.packages[0].filename
    old.parent.mkdir(parents=True)
    old.write_bytes(content(0))
    found = bring(lock, cache, 0, snapshots=f"{server.uri}/snap")
    assert found["pkg-0"].read_bytes() == content(0)


def test_nobody_listens(lock: Lock, cache: Path) -> None:
    dead = dataclasses.replace(
        lock,
        releases=tuple(dataclasses.replace(r, uri="http://127.0.0.1:1/") for r in lock.releases),
    )
    refused(dead, cache, "fetch-failed", 0)


def test_more_than_was_locked(lock: Lock, cache: Path, server: Server) -> None:
    """R10: neither a longer file nor an endless one is read beyond its size."""
    server.rules[path_of(lock, 0)] = lambda handler: handler.answer(200, content(0) + b"more")
    refused(lock, cache, "hash-mismatch", 0)

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    server.rules[path_of(lock, 0)] = endless
    refused(lock, cache, "hash-mismatch", 0)


def test_chunked_is_fine(lock: Lock, cache: Path, server: Server) -> None:
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(f"{SIZE:x}\r\n".encode() + content(0) + b"\r\n0\r\n\r\n")

    server.rules[path_of(lock, 0)] = chunked
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)


def test_a_trickle_is_cut_off(
    lock: Lock, cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: one byte now and then keeps every socket time-out from firing."""
    monkeypatch.setattr(crew, "SLOW_SECONDS", 0.6)
    monkeypatch.setattr(download, "TRIES", 1)

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    server.rules[path_of(lock, 0)] = trickle
    started = time.monotonic()
    refused(lock, cache, "fetch-failed", 0)
    assert time.monotonic() - started < 8


def test_redirects(lock: Lock, cache: Path, server: Server) -> None:
    server.rules[path_of(lock, 0)] = lambda handler: handler.redirect(path_of(lock, 0, "/moved/"))
    moved = server.root / "moved" / lock.packages[0].filename
    moved.parent.mkdir(parents=True)
    moved.write_bytes(content(0))
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "/debian/\x0bx",
        "http://127.0.0.1:1:1/",
        "",
    ],
)
def test_redirects_out_of_bounds(lock: Lock, cache: Path, server: Server, location: str) -> None:
    """R10, CVE-2019-3462."""
    server.rules[path_of(lock, 0)] = lambda handler: handler.redirect(location)
    refused(lock, cache, "fetch-failed", 0)
    assert server.count("pkg-0") <= 2


def test_tls(lock: Lock, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verified, and never left for plain HTTP."""
    certificate = make_certificate(tmp_path / "cert.pem")
    with serve(tmp_path / "www", certificate=certificate) as secure:
        away = dataclasses.replace(
            lock,
            releases=tuple(
                dataclasses.replace(r, uri=f"{secure.uri}/debian/") for r in lock.releases
            ),
        )
        error = refused(away, cache, "fetch-failed", 0)
        assert any("certificate" in line.lower() for line in error.details)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert bring(away, cache, 0)["pkg-0"].read_bytes() == content(0)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine localhost login me password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        secure.rules[path_of(lock, 3)] = lambda handler: (
            handler.answer(200, content(3))
            if handler.headers.get("Authorization") == "Basic bWU6c2VjcmV0"
            else handler.answer(401, b"")
        )
        assert bring(away, cache, 3)["pkg-3"].read_bytes() == content(3)
        plain = f"{lock.releases[0].uri}{lock.packages[1].filename}"
        secure.rules[path_of(lock, 1)] = lambda handler: handler.redirect(plain)
        with pytest.raises(ArchiveError) as caught:
            bring(away, cache, 1)
        assert caught.value.reason == "fetch-failed"
    with serve(tmp_path / "www", certificate=certificate) as secure, serve(tmp_path / "no") as bare:
        upwards = f"{secure.uri}{path_of(lock, 2)}"
        bare.rules[path_of(lock, 2)] = lambda handler: handler.redirect(upwards)
        moved = dataclasses.replace(
            lock,
            releases=tuple(
                dataclasses.replace(r, uri=f"{bare.uri}/debian/") for r in lock.releases
            ),
        )
        assert bring(moved, cache, 2)["pkg-2"].read_bytes() == content(2)


def test_redirects_in_circles(lock: Lock, cache: Path, server: Server) -> None:
    server.rules[path_of(lock, 0)] = lambda handler: handler.redirect(path_of(lock, 0))
    refused(lock, cache, "fetch-failed", 0)
    assert server.count("pkg-0") <= 8


def test_a_proxy(lock: Lock, cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests of a proxy's client name the host; the server sees the path all the same."""
    away = dataclasses.replace(
        lock,
        releases=tuple(
            dataclasses.replace(r, uri="http://archive.invalid/debian/") for r in lock.releases
        ),
    )
    monkeypatch.setenv("http_proxy", server.uri)
    monkeypatch.setenv("no_proxy", "localhost")
    assert bring(away, cache, 0)["pkg-0"].read_bytes() == content(0)
    monkeypatch.setenv("no_proxy", "localhost, .invalid")
    with pytest.raises(ArchiveError) as caught:
        bring(away, cache, 1)
    assert caught.value.reason == "fetch-failed"


def test_files(lock: Lock, cache: Path, server: Server) -> None:
    local = dataclasses.replace(
        lock,
        releases=tuple(
            dataclasses.replace(r, uri=f"file://{server.root}/debian/") for r in lock.releases
        ),
    )
    assert len(bring(local, cache)) == 4
    assert not server.requests


def test_giving_up_leaves_something_to_resume(lock: Lock, cache: Path, server: Server) -> None:
    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(content(0)[:400_000])
        handler.wfile.flush()
        time.sleep(5)

    server.rules[path_of(lock, 0)] = half
    iterator = fetch(lock, lock.packages[:2], cache=cache)
    package, _path = next(iterator)
    assert package.name == "pkg-1"
    part = cache / f"{lock.packages[0].sha256}.part"
    deadline = time.monotonic() + 5
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    started = time.monotonic()
    iterator.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 3
    del server.rules[path_of(lock, 0)]
    server.requests.clear()
    assert bring(lock, cache, 0)["pkg-0"].read_bytes() == content(0)
    assert "range" in server.requests[0][1]


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dolmen.archive import fetch
from dolmen.model import parse_lock
lock = parse_lock(Path(sys.argv[2]).read_text())
for _ in fetch(lock, lock.packages, cache=Path(sys.argv[3])):
    pass
"""


@pytest.fixture
def child(lock: Lock, cache: Path, tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Starts another process with the same fetch."""
    from dolmen.model import render_lock

    path = tmp_path / "lock"
    path.write_text(render_lock(dataclasses.replace(lock, solver="apt", inputs=Sha256("1" * 64))))
    source = Path(__file__).resolve().parents[3] / "src"
    argv = [sys.executable, "-c", _CHILD, str(source), str(path), str(cache)]
    return lambda: subprocess.Popen(argv)


def test_two_processes_share_the_work(
    lock: Lock,
    cache: Path,
    server: Server,
    child: Callable[[], subprocess.Popen[bytes]],
) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.4)
        handler.file(server.root / handler.path.lstrip("/").replace("%2B", "+"))

    for number in range(4):
        server.rules[path_of(lock, number)] = slow
    other = child()
    mine = bring(lock, cache)
    assert other.wait(timeout=30) == 0
    assert len(mine) == 4
    assert len(server.requests) == 4
    assert not list(cache.glob("*.part"))


def test_a_killed_process_leaves_nothing_to_trust(
    lock: Lock,
    cache: Path,
    server: Server,
    child: Callable[[], subprocess.Popen[bytes]],
) -> None:
    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(content(9)[:400_000])
        handler.wfile.flush()
        time.sleep(10)

    server.rules[path_of(lock, 0)] = half
    other = child()
    part = cache / f"{lock.packages[0].sha256}.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(other.pid, signal.SIGKILL)
    other.wait(timeout=10)
    del server.rules[path_of(lock, 0)]
    found = bring(lock, cache)
    assert found["pkg-0"].read_bytes() == content(0)
    assert len(found) == 4
