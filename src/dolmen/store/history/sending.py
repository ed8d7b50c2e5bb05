"""Pushing to a repository that `dolmen store receive` serves at the other end of a connection."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gi.repository import OSTree

from dolmen.store.history.pushing import Pushed, Update, parent_of, plan, wanted_refs
from dolmen.store.history.repository import History, told
from dolmen.store.history.wire import PIECE, VERSION, Wire, lost
from dolmen.support.errors import HostError, UsageError
from dolmen.support.run import spawn

FILE, TREE, META, COMMIT, DETACHED = 1, 2, 3, 4, 6
#: What is sent first: what others refer to.
_ORDER = (FILE, META, TREE, DETACHED, COMMIT)
_BATCH = 4096
_COMMITS = 64
_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to push over ssh: `host` as ssh takes it, `path` of the repository there."""

    host: str
    path: str
    port: str | None = None


def parse_address(text: str) -> Address | None:
    """`ssh://[USER@]HOST[:PORT]/PATH` or `[USER@]HOST:PATH`; None for a path of this machine.

    Raises UsageError ("usage").
    """
    if text.startswith("ssh://"):
        host, slash, path = text.removeprefix("ssh://").partition("/")
        name, colon, port = host.rpartition(":")
        if not colon or "]" in port:
            name, port = host, ""
        found = Address(name.strip("[]"), slash + path, port or None)
    else:
        host, colon, path = text.partition(":")
        if not colon or "/" in host or text.startswith("file:"):
            return None
        found = Address(host, path)
    # A host that ssh would take for an option (CVE-2017-1000117).
    bad = found.host.startswith("-") or not found.host or not found.path.strip("/")
    if bad or (found.port and not found.port.isdecimal()) or "://" in text[6:]:
        raise UsageError(f"{text[:80]!r} is no address", hint="ssh://HOST/PATH or HOST:PATH")
    return found


def push_ssh(
    history: History,
    address: Address,
    names: Sequence[str] = (),
    *,
    force: bool = False,
    depth: int = -1,
    dry_run: bool = False,
    rsh: str = "ssh",
    program: str = "dolmen",
    environment: Mapping[str, str],
) -> Pushed:
    """Push refs (default: all) over ssh; the other side needs Dolmen, as `program`.

    `rsh`: what to run instead of ssh, with its options; it gets the host and one command line.
    Raises what `push_local` may raise, from here or from there, and HostError ("connection-lost",
    "bad-message", "program-missing").
    """
    wanted = wanted_refs(history, names)
    command = f"{program} store --repo={shlex.quote(address.path)} receive"
    port = ["-p", address.port] if address.port else []
    argv = [*shlex.split(rsh), *port, address.host, command]
    pipe = subprocess.PIPE
    with spawn(argv, env=environment, stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        wire = Wire(child.stdout.fileno(), child.stdin.fileno())
        try:
            done = send(history, wire, wanted, force=force, depth=depth, dry_run=dry_run)
        except HostError as error:
            if error.reason == "connection-lost" and child.poll():
                raise lost(f"{argv[0]} ended with {child.returncode}") from None
            raise
        child.stdin.close()
        child.wait(timeout=60)
    return done


def send(
    history: History,
    wire: Wire,
    wanted: Mapping[str, str],
    *,
    force: bool = False,
    depth: int = -1,
    dry_run: bool = False,
) -> Pushed:
    """The sender's side: only what the other side lacks is sent, and its refs move last."""
    hello = wire.receive_value("H")
    if not isinstance(hello, dict) or hello.get("version") != VERSION:
        raise HostError(
            "the other side has another version of Dolmen",
            reason="bad-message",
            hint="ssh HOST dolmen --version",
        )
    there = {str(name): str(checksum) for name, checksum in dict(hello["refs"]).items()}
    moves, same = plan(history, there, wanted, force=force)
    if dry_run or not moves:
        return Pushed(tuple(moves), tuple(same), 0, 0, dry_run)
    wire.send_value("U", {"force": force, "updates": [[m.ref, m.before, m.after] for m in moves]})
    wire.receive("K")
    with told():
        count, size = _objects(history, wire, moves, depth)
    wire.send("F")
    wire.receive("R")
    return Pushed(tuple(moves), tuple(same), count, size)


def _objects(history: History, wire: Wire, moves: Sequence[Update], depth: int) -> tuple[int, int]:
    new: list[str] = []
    known: set[_Key] = set()
    for move in moves:
        commits, boundary = _missing_commits(history, wire, move.after, depth)
        new += [commit for commit in commits if commit not in new]
        if boundary is not None:
            known |= _reached(history, boundary)
    needed = {key for commit in new for key in _reached(history, commit)} - known
    count = size = 0
    for kind in _ORDER:
        keys = sorted(key for key in needed if key[1] == kind and kind != COMMIT)
        if kind == DETACHED:
            keys = [(commit, DETACHED) for commit in new]
        elif kind == COMMIT:
            keys = [(commit, COMMIT) for commit in reversed(new)]
        wished = keys if kind in (DETACHED, COMMIT) else _wished(wire, keys)
        for key in wished:
            sent = _send(history, wire, key)
            count, size = count + (sent > 0), size + sent
    return count, size


def _missing_commits(
    history: History, wire: Wire, newest: str, depth: int
) -> tuple[list[str], str | None]:
    """The commits of a history that the other side lacks, newest first, and the first it has."""
    found: list[str] = []
    chain = _chain(history, newest, depth)
    while batch := [commit for _, commit in zip(range(_COMMITS), chain, strict=False)]:
        lacking = set(_wished(wire, [(commit, COMMIT) for commit in batch]))
        for commit in batch:
            if (commit, COMMIT) not in lacking:
                return found, commit if commit != newest else None
            found.append(commit)
    return found, None


def _chain(history: History, newest: str, depth: int) -> Iterator[str]:
    here: str | None = newest
    while here is not None:
        if not history.repo.has_object(OSTree.ObjectType.COMMIT, here, None)[1]:
            return
        yield here
        if depth == 0:
            return
        depth -= 1
        here = parent_of(history, here)


def _reached(history: History, commit: str) -> set[_Key]:
    return {key.unpack() for key in history.repo.traverse_commit(commit, 0, None)[1]}


def _wished(wire: Wire, keys: Iterable[_Key]) -> list[_Key]:
    """Those of the objects that the other side wants."""
    listed = list(keys)
    found: list[_Key] = []
    for start in range(0, len(listed), _BATCH):
        batch = listed[start : start + _BATCH]
        wire.send("Q", b"".join(bytes([kind]) + bytes.fromhex(name) for name, kind in batch))
        answer = wire.receive("A")[1]
        found += [key for key, wish in zip(batch, answer, strict=True) if wish]
    return found


def _send(history: History, wire: Wire, key: _Key) -> int:
    name, kind = key
    if kind == DETACHED:
        found = history.repo.read_commit_detached_metadata(name, None)[1]
        if found is None:
            return 0
        data = bytes(found.get_data_as_bytes().get_data() or b"")
        _head(wire, name, kind, len(data))
        _pieces(wire, data)
        return len(data)
    _, stream, size = history.repo.load_object_stream(OSTree.ObjectType(kind), name, None)
    _head(wire, name, kind, size)
    left: int = size
    while left:
        piece = bytes(stream.read_bytes(min(left, PIECE), None).get_data() or b"")
        if not piece:
            raise lost(f"the object {name} ends in the middle")
        wire.send("D", piece)
        left -= len(piece)
    return int(size)


def _head(wire: Wire, name: str, kind: int, size: int) -> None:
    wire.send("O", bytes([kind]) + bytes.fromhex(name) + size.to_bytes(8, "big"))


def _pieces(wire: Wire, data: bytes) -> None:
    for start in range(0, len(data), PIECE):
        wire.send("D", data[start : start + PIECE])
