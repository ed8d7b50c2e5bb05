"""What lies in the state directory: kept, shared, killed half-way, damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dolmen.archive import prune
from dolmen.model import Lock
from dolmen.support.errors import ArchiveError, StoreError
from tests.integration.archive.conftest import Solve
from tests.lib.archive import Archive, Handler, Server

INRELEASE = "/debian/dists/stable/InRelease"


def root_of(state: Path) -> Path:
    (root,) = (path for path in state.iterdir() if path.name != "marks")
    return root


def test_an_index_is_fetched_once_a_day(
    solved: Solve, server: Server, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArchiveError) as caught:
        solved("hello", refresh=False)
    assert caught.value.reason == "no-index"
    lock = solved("hello", refresh=None)
    count = len(server.requests)
    assert solved("hello", refresh=None) == lock
    assert solved("hello", refresh=False) == lock
    assert len(server.requests) == count
    stamp = root_of(state) / "index.json"
    text = stamp.read_text()
    old = text.replace('"fetched": ', '"fetched": 1')  # centuries from now: a clock that was wrong
    stamp.write_text(old)
    assert solved("hello", refresh=None) == lock
    assert len(server.requests) > count


def test_nothing_is_fetched_twice_without_need(solved: Solve, server: Server) -> None:
    solved("hello")
    indexes = server.count("by-hash")
    solved("hello")
    assert server.count("by-hash") == indexes == 1


@pytest.mark.parametrize("damage", ["index", "release", "stamp", "version", "remove", "status"])
def test_damage_is_noticed(solved: Solve, state: Path, damage: str) -> None:
    """The index is fetched anew; offline that is an error, never a wrong answer."""
    lock = solved("hello")
    root = root_of(state)
    lists = root / "lists"
    victim = {
        "index": next(lists.glob("*Packages")),
        "release": next(lists.glob("*InRelease")),
        "stamp": root / "index.json",
        "version": root / "index.json",
        "remove": next(lists.glob("*Packages")),
        "status": root / "status",
    }[damage]
    if damage == "remove":
        victim.unlink()
    elif damage == "status":
        victim.write_text("Package: libhello\nStatus: install ok installed\nVersion: 5\n\n")
    elif damage == "stamp":
        victim.write_text(victim.read_text()[:-20])
    elif damage == "version":
        victim.write_text(victim.read_text().replace('"components"', '"renamed"'))
    else:
        victim.write_text(victim.read_text().replace("hello", "jello", 1) + "\n")
    if damage != "status":
        with pytest.raises(ArchiveError) as caught:
            solved("hello", refresh=False)
        assert caught.value.reason == "no-index"
    assert solved("hello", refresh=None) == lock


def test_a_damaged_package_cache_is_built_anew(solved: Solve, state: Path) -> None:
    lock = solved("hello")
    cache = root_of(state) / "cache/pkgcache.bin"
    cache.write_bytes(cache.read_bytes()[:4000])
    assert solved("hello", refresh=False) == lock
    content = bytearray(cache.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    cache.write_bytes(content)
    assert solved("hello", refresh=False) == lock
    cache.write_bytes(b"")
    assert solved("hello", refresh=False) == lock


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dolmen.archive import solve
from dolmen.model import Manifest, Source, parse_spec
source = Source((sys.argv[2],), ("stable",), signed_by=sys.argv[3])
manifest = Manifest("stable", (parse_spec("hello"),), (source,), "amd64")
solve(manifest, state=Path(sys.argv[4]), refresh=True)
"""


def child(archive: Archive, state: Path) -> subprocess.Popen[bytes]:
    tree = Path(__file__).resolve().parents[3] / "src"
    arguments = [str(tree), archive.uri, str(archive.signer.keyring), str(state)]
    return subprocess.Popen([sys.executable, "-c", _CHILD, *arguments])


@pytest.mark.parametrize("at", ["InRelease", "Packages"])
def test_killed_in_an_update(
    solved: Solve, archive: Archive, server: Server, state: Path, at: str
) -> None:
    """The index before stays in use, and the next update succeeds."""
    lock = solved("hello")
    archive.entries["stable"][-1]["Description"] = "news"
    archive.publish(date=datetime.now(UTC))
    arrived = threading.Event()
    release = threading.Event()

    def stall(handler: Handler) -> None:
        arrived.set()
        release.wait(20)

    paths = [
        f"/{path.relative_to(server.root)}"
        for path in (archive.root / "dists").rglob("*")
        if at in path.name or (at == "Packages" and "by-hash" in path.parts)
    ]
    server.rules.update(dict.fromkeys(paths, stall))
    other = child(archive, state)
    assert arrived.wait(20)
    os.kill(other.pid, signal.SIGKILL)
    other.wait(timeout=10)
    release.set()
    server.rules.clear()
    assert solved("hello", refresh=False) == lock
    after = solved("hello")
    assert after.releases != lock.releases


def test_two_at_once(solved: Solve, archive: Archive, server: Server, state: Path) -> None:
    """They wait for each other; both answer the same."""
    others = [child(archive, state) for _ in range(2)]
    lock = solved("hello")
    assert [other.wait(timeout=60) for other in others] == [0, 0]
    assert solved("hello", refresh=False) == lock


def test_a_slow_mirror_is_given_up(
    solved: Solve, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: a trickle that never lets a socket time out."""
    solved("hello")

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    server.rules[INRELEASE] = trickle
    started = time.monotonic()
    with pytest.raises(ArchiveError) as caught:
        solved("hello", slow=0.5)
    assert caught.value.reason == "network"
    assert time.monotonic() - started < 8


def test_an_endless_release_file(solved: Solve, server: Server) -> None:
    """R10: it has no declared size; apt stops at ten megabytes."""
    solved("hello")

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    server.rules[INRELEASE] = endless
    with pytest.raises(ArchiveError):
        solved("hello")


def test_an_ordinary_umask(solved: Solve, state: Path) -> None:
    """D8: a strange umask does not keep apt's methods from working."""
    before = os.umask(0o077)
    try:
        lock: Lock = solved("hello")
    finally:
        os.umask(before)
    assert lock.packages


def test_what_was_not_used_for_long_is_forgotten(
    solved: Solve, archive: Archive, state: Path
) -> None:
    lock = solved("hello")
    assert prune(state) == 0
    assert solved("hello", refresh=False) == lock
    assert prune(state, keep=-1) > 1000
    with pytest.raises(ArchiveError) as caught:
        solved("hello", refresh=False)
    assert caught.value.reason == "no-index"
    archive.publish(date=datetime.now(UTC) - timedelta(days=2))
    with pytest.raises(ArchiveError) as caught:
        solved("hello")
    assert caught.value.reason == "mirror-went-backwards"


def test_a_path_with_blanks(solved: Solve, tmp_path: Path) -> None:
    where = tmp_path / "a store with blanks" / "größe"
    assert solved("hello", where=where) == solved("hello", where=where, refresh=False)


@pytest.mark.root
def test_a_full_disk(solved: Solve, archive: Archive, tmp_path: Path) -> None:
    """The index does not fit; with room it does."""
    for entry in list(archive.entries["stable"]):
        for number in range(10):
            extra = {"Package": f"{entry['Package']}-{number}", "X-Ballast": "x" * 60_000}
            archive.entries["stable"].append(entry | extra | {"Essential": "no"})
    archive.publish()
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*mount, "size=1m", "none", str(small)], check=True, timeout=10)
    try:
        with pytest.raises(StoreError) as caught:
            solved("hello", where=small / "state")
        assert (caught.value.reason, caught.value.exit_code) == ("disk-full", 7)
        subprocess.run([*mount, "remount,size=99m", str(small)], check=True, timeout=10)
        assert solved("hello", where=small / "state").packages
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True, timeout=10)
