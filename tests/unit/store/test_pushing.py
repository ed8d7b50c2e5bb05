"""Pushes: to a path, and over a connection of which either end may be hostile."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolmen.store.history import references, revisions
from dolmen.store.history.bundling import read_bundle, write_bundle
from dolmen.store.history.committing import Source, Wish, commit
from dolmen.store.history.pushing import push_local
from dolmen.store.history.receiving import receive
from dolmen.store.history.repository import History
from dolmen.store.history.sending import parse_address, send
from dolmen.store.history.wire import Wire
from dolmen.store.repo.checking import Wish as Checks
from dolmen.store.repo.checking import fsck
from dolmen.support.errors import DolmenError, UsageError

Talk = Callable[[Wire, str], None]


class World:
    """A repository with three commits, and an empty one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.here = self.make("here", "archive")
        self.there = self.make("there", "bare-user-only")
        self.commits = [self.commit(number) for number in "123"]

    def make(self, name: str, mode: str) -> History:
        found = History.create(self.directory / name, mode)
        found.repo.set_disable_fsync(True)
        return found

    def commit(self, text: str, branch: str = "main") -> str:
        tree = self.directory / "tree"
        tree.mkdir(exist_ok=True)
        (tree / f"f{text}").write_bytes(os.urandom(2000))
        if not (tree / "big").exists():
            (tree / "big").write_bytes(os.urandom(1_100_000))
        wish = Wish([Source("dir", str(tree))], branch=branch, canonical=True, sync=False)
        return commit(self.here, wish).checksum

    def refs(self) -> dict[str, str]:
        return references.refs(self.there)

    def whole(self) -> None:
        found = fsck(self.there.files, Checks())
        assert found.clean
        assert not found.partial

    @contextlib.contextmanager
    def served(self, **more: object) -> Iterator[tuple[Wire, list[str]]]:
        """A wire to a receiver at work; and the reasons that it ended with."""
        one, two = socket.socketpair()
        reasons: list[str] = []

        def serve() -> None:
            with two:
                try:
                    receive(
                        History.open(self.there.path),
                        Wire(two.fileno(), two.fileno(), idle=20),
                        **more,  # type: ignore[arg-type]
                    )
                except DolmenError as error:
                    reasons.append(error.reason)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with one:
                yield Wire(one.fileno(), one.fileno(), idle=20), reasons
        finally:
            thread.join(timeout=30)
            assert not thread.is_alive()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_to_a_path(world: World) -> None:
    done = push_local(world.here, world.there)
    assert [(u.ref, u.before, u.after) for u in done.updates] == [("main", None, world.commits[2])]
    assert [c.checksum for c in revisions.log(world.there, "main")] == world.commits[::-1]
    world.whole()
    assert push_local(world.here, world.there).unchanged == ("main",)
    references.reset(world.here, "main", world.commits[0])
    with pytest.raises(DolmenError) as caught:
        push_local(world.here, world.there)
    assert caught.value.reason == "not-fast-forward"
    assert push_local(world.here, world.there, force=True, dry_run=True).updates[0].forced
    assert world.refs() == {"main": world.commits[2]}
    push_local(world.here, world.there, force=True)
    assert world.refs() == {"main": world.commits[0]}


def test_damage_is_not_pushed(world: World) -> None:
    push_local(world.here, world.there)
    bad = world.commit("4")
    for path in (world.here.path / "objects").rglob("*.filez"):
        data = path.read_bytes()
        half = len(data) // 2
        path.write_bytes(data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :])
    with pytest.raises(DolmenError):
        push_local(world.here, world.there)
    assert bad not in world.refs().values()
    world.whole()


def test_over_a_connection(world: World) -> None:
    wanted = references.refs(world.here)
    with world.served() as (wire, reasons):
        done = send(world.here, wire, wanted)
    assert not reasons
    assert world.refs() == wanted
    assert done.objects is not None
    world.whole()
    assert [c.checksum for c in revisions.log(world.there, "main")] == world.commits[::-1]
    # One more commit: only that is sent.
    world.commit("4")
    with world.served() as (wire, _):
        more = send(world.here, wire, references.refs(world.here))
    assert more.objects is not None
    assert more.objects < done.objects
    world.whole()
    with world.served() as (wire, _):
        assert not send(world.here, wire, references.refs(world.here)).updates


def test_only_forward(world: World) -> None:
    with world.served() as (wire, _):
        send(world.here, wire, references.refs(world.here))
    back = {"main": world.commits[0]}
    with world.served() as (wire, _), pytest.raises(DolmenError) as caught:
        send(world.here, wire, back)
    assert caught.value.reason == "not-fast-forward"
    with world.served(forcing=False) as (wire, reasons), pytest.raises(DolmenError):
        send(world.here, wire, back, force=True)
    assert reasons == ["not-fast-forward"]
    assert world.refs() == {"main": world.commits[2]}
    with world.served() as (wire, _):
        send(world.here, wire, back, force=True)
    assert world.refs() == back
    with world.served(only=("nightly/",)) as (wire, reasons), pytest.raises(DolmenError):
        send(world.here, wire, {"main": world.commits[2]})
    assert reasons == ["ref-reserved"]
    assert world.refs() == back


def _ask(wire: Wire, ref: object, new: object, old: object = None) -> None:
    wire.receive("H")
    wire.send_value("U", {"force": False, "updates": [[ref, old, new]]})


def _lying_name(wire: Wire, newest: str) -> None:
    _ask(wire, "main", newest)
    wire.receive("K")
    wire.send("O", bytes([2]) + bytes(32) + (4).to_bytes(8, "big"))
    wire.send("D", b"abcd")
    wire.send("F")
    wire.receive("R")


def _lying_file(wire: Wire, newest: str) -> None:
    _ask(wire, "main", newest)
    wire.receive("K")
    wire.send("O", bytes([1]) + bytes(32) + (8).to_bytes(8, "big"))
    wire.send("D", bytes(8))
    wire.send("F")
    wire.receive("R")


def _nothing_sent(wire: Wire, newest: str) -> None:
    _ask(wire, "main", newest)
    wire.receive("K")
    wire.send("F")
    wire.receive("R")


def _escape(wire: Wire, newest: str) -> None:
    _ask(wire, "../../x", newest)
    wire.receive("K")


def _moved(wire: Wire, newest: str) -> None:
    _ask(wire, "main", newest, "0" * 64)
    wire.receive("K")


def _too_much(wire: Wire, newest: str) -> None:
    _ask(wire, "main", newest)
    wire.receive("K")
    wire.send("O", bytes([4]) + bytes(32) + (1 << 40).to_bytes(8, "big"))
    wire.receive("R")


def _other_words(wire: Wire, _newest: str) -> None:
    wire.receive("H")
    wire.send("Z", b"?")
    wire.receive("K")


def _endless(wire: Wire, _newest: str) -> None:
    wire.receive("H")
    wire._waiting.append(b"U\xff\xff\xff\xff")
    wire.receive("K")


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (_lying_name, "object-damaged"),
        (_lying_file, "object-damaged"),
        (_nothing_sent, "object-missing"),
        (_escape, "bad-message"),
        (_moved, "ref-moved"),
        (_too_much, "bad-message"),
        (_other_words, "bad-message"),
        (_endless, "bad-message"),
    ],
)
def test_hostile_senders(world: World, talk: Talk, reason: str) -> None:
    with world.served() as (wire, reasons), pytest.raises(DolmenError) as caught:
        talk(wire, world.commits[2])
    assert reasons == [reason]
    assert caught.value.reason == reason
    assert world.refs() == {}
    world.whole()


def test_a_connection_that_breaks(world: World) -> None:
    """Nothing is named; the next push finishes."""
    with world.served() as (wire, reasons):
        _ask(wire, "main", world.commits[2])
        wire.receive("K")
        wire.send("O", bytes([1]) + bytes(32) + (1 << 20).to_bytes(8, "big"))
        wire.send("D", bytes(1000))
        wire.flush()
    assert reasons == ["connection-lost"]
    assert world.refs() == {}
    with world.served() as (wire, _):
        send(world.here, wire, references.refs(world.here))
    world.whole()


def test_hostile_receivers(world: World) -> None:
    for words in (b"", b"H\0\0\0\1x", b"H\xff\xff\xff\xff", b"X\0\0\0\2{}", b"SSH-2.0"):
        one, two = socket.socketpair()
        with one, two:
            two.sendall(words)
            two.shutdown(socket.SHUT_WR)
            with pytest.raises(DolmenError) as caught:
                send(world.here, Wire(one.fileno(), one.fileno(), idle=5), {"main": "0" * 64})
            assert caught.value.reason in ("connection-lost", "bad-message")


def test_addresses() -> None:
    found = parse_address("ssh://me@host:22/srv/repo")
    assert found is not None
    assert (found.host, found.port, found.path) == ("me@host", "22", "/srv/repo")
    scp = parse_address("host:repo")
    assert scp is not None
    assert (scp.host, scp.path) == ("host", "repo")
    assert parse_address("../repo") is None
    assert parse_address("./with:colon") is None
    for bad in ("ssh://-oProxyCommand=x/repo", "-oProxyCommand=x:repo", "ssh://host", "host:"):
        with pytest.raises(UsageError):
            parse_address(bad)


def test_a_repository_in_a_tar(world: World) -> None:
    one, two = world.directory / "one.tar", world.directory / "two.tar"
    write_bundle(world.here, ["main"], one)
    write_bundle(world.here, ["main"], two)
    assert one.read_bytes() == two.read_bytes()
    assert read_bundle(world.there, one).refs == {"main": world.commits[2]}
    assert [c.checksum for c in revisions.log(world.there, "main")] == world.commits[::-1]
    world.whole()
    # One bit of an object's content: the import is refused, the ref is not there.
    data = bytearray(one.read_bytes())
    data[data.index(b"objects/") + 512 + 100_000] ^= 1
    two.write_bytes(data)
    empty = world.make("empty", "archive")
    with pytest.raises(DolmenError):
        read_bundle(empty, two)
    assert references.refs(empty) == {}
