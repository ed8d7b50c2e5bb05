"""Taking in what somebody pushes: the end that `dolmen store receive` is.

Nothing that comes is believed: each object is hashed before it is kept, each commit must be there
with all that it reaches before a ref names it, and refs move as `pushing` says, all of them or
none. Until then what came is libostree's own unfinished transaction.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.pushing import guarded, parent_of, plan
from dolmen.store.history.references import refs
from dolmen.store.history.repository import History
from dolmen.store.history.sending import COMMIT, DETACHED, FILE, META, TREE
from dolmen.store.history.wire import PIECE, VERSION, Wire
from dolmen.support.errors import DolmenError, HostError, StoreError

_TYPES = {TREE: "(a(say)a(sayay))", META: "(uuua(ayay))", COMMIT: "(a{sv}aya(say)sstayay)"}
_CHECKS = {
    TREE: OSTree.validate_structureof_dirtree,
    META: OSTree.validate_structureof_dirmeta,
    COMMIT: OSTree.validate_structureof_commit,
}
#: Bytes of an object that is no file, and of one that is held in memory; refs of one push.
_LARGEST = 64 << 20
_INLINE = 1 << 20
_MAX_REFS = 10_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


def receive(
    history: History, wire: Wire, *, forcing: bool = True, only: Sequence[str] = ()
) -> dict[str, str]:
    """Serve one push; the refs that have moved.

    `forcing`: whether refs may leave commits behind if the sender insists; `only`: prefixes of the
    refs that may move (none: all). Raises what the sender is told as well.
    """
    try:
        return _Receiver(history, wire, forcing, tuple(only)).run()
    except DolmenError as error:
        with contextlib.suppress(DolmenError):
            wire.send_error(error)
        raise


class _Receiver:
    def __init__(self, history: History, wire: Wire, forcing: bool, only: tuple[str, ...]) -> None:
        self._history, self._wire = history, wire
        self._forcing, self._only = forcing, only
        self._commits: set[str] = set()

    def run(self) -> dict[str, str]:
        history, wire = self._history, self._wire
        there = {name: value for name, value in refs(history).items() if ":" not in name}
        wire.send_value("H", {"version": VERSION, "refs": there})
        try:
            asked = wire.receive_value("U")
        except HostError as error:
            if error.reason == "connection-lost":
                return {}  # it only wanted to see the refs
            raise
        wanted, before = self._wanted(asked)
        force = bool(asked.get("force")) and self._forcing
        self._compare(refs(history), before)
        wire.send("K")
        with contextlib.ExitStack() as until_done, history.transaction() as repo:
            self._objects(repo)
            for checksum in wanted.values():
                self._complete(repo, checksum)
            # From here until the refs are written nobody else may move one.
            until_done.enter_context(guarded(history))
            now = refs(history)
            self._compare(now, before)
            moves, _ = plan(history, now, wanted, force=force)
            for move in moves:
                repo.transaction_set_ref(None, move.ref, move.after)
        moved = {move.ref: move.after for move in moves}
        wire.send_value("R", {"moved": moved})
        wire.flush()
        return moved

    def _wanted(self, asked: Any) -> tuple[dict[str, str], dict[str, str | None]]:
        wanted: dict[str, str] = {}
        before: dict[str, str | None] = {}
        rows = asked.get("updates") if isinstance(asked, dict) else None
        if not isinstance(rows, list) or not 0 < len(rows) <= _MAX_REFS:
            raise _bad("no updates")
        for row in rows:
            if not isinstance(row, list) or len(row) != 3:
                raise _bad("an update is none")
            name, old, new = row
            if not (_is_sum(new) and (old is None or _is_sum(old)) and _is_ref(name)):
                raise _bad(f"{str(name)[:80]!r} cannot be moved so")
            self._history.refuse_ours(name)
            if self._only and not name.startswith(self._only):
                raise StoreError(
                    f"{name} may not be pushed here",
                    reason="ref-reserved",
                    context=", ".join(self._only),
                )
            wanted[name], before[name] = new, old
        return wanted, before

    def _compare(self, there: dict[str, str], before: dict[str, str | None]) -> None:
        for name, old in before.items():
            if there.get(name) != old:
                raise StoreError(
                    f"{name} has moved meanwhile", reason="ref-moved", hint="push once more"
                )

    def _objects(self, repo: OSTree.Repo) -> None:
        while True:
            letter, payload = self._wire.receive("Q", "O", "F")
            if letter == "F":
                return
            if letter == "Q":
                self._answer(repo, payload)
            else:
                self._object(repo, payload)

    def _answer(self, repo: OSTree.Repo, payload: bytes) -> None:
        if len(payload) % 33:
            raise _bad("names of objects")
        self._wire.send(
            "A",
            bytes(
                not self._has(repo, payload[i], payload[i + 1 : i + 33].hex())
                for i in range(0, len(payload), 33)
            ),
        )

    def _has(self, repo: OSTree.Repo, kind: int, name: str) -> bool:
        if kind not in (FILE, *_TYPES):
            raise _bad("a kind of object")
        if not repo.has_object(OSTree.ObjectType(kind), name, None)[1]:
            return False
        # A commit of which only a part is here must come whole.
        partial = OSTree.RepoCommitState.PARTIAL
        return kind != COMMIT or not repo.load_commit(name)[2] & partial

    def _object(self, repo: OSTree.Repo, payload: bytes) -> None:
        if len(payload) != 41:
            raise _bad("the name of an object")
        kind, name = payload[0], payload[1:33].hex()
        size = int.from_bytes(payload[33:], "big")
        if kind == FILE:
            self._file(repo, name, size)
            return
        if kind not in (*_TYPES, DETACHED) or size > _LARGEST:
            raise _bad("an object of this kind or size")
        data = b"".join(self._content(size))
        if kind == DETACHED:
            value = _variant("a{sv}", data, name)
            repo.write_commit_detached_metadata(name, value, None)
            return
        if hashlib.sha256(data).hexdigest() != name:
            raise _corrupted(name)
        value = _variant(_TYPES[kind], data, name)
        try:
            _CHECKS[kind](value)
        except GLib.Error as error:
            raise _corrupted(f"{name}: {error.message}") from None
        repo.write_metadata(OSTree.ObjectType(kind), name, value, None)
        if kind == COMMIT:
            self._commits.add(name)

    def _file(self, repo: OSTree.Repo, name: str, size: int) -> None:
        if size <= _INLINE:
            data = GLib.Bytes.new(b"".join(self._content(size)))
            stream: Gio.InputStream = Gio.MemoryInputStream.new_from_bytes(data)
            self._keep(repo, name, stream, size)
            return
        with tempfile.TemporaryFile(dir=self._history.path / "tmp") as spool:
            for piece in self._content(size):
                spool.write(piece)
            spool.seek(0)
            self._keep(repo, name, Gio.UnixInputStream.new(spool.fileno(), False), size)

    def _keep(self, repo: OSTree.Repo, name: str, stream: Gio.InputStream, size: int) -> None:
        try:
            repo.write_content(name, stream, size, None)
        except GLib.Error as error:
            if "space" in error.message or "quota" in error.message:
                raise
            raise _corrupted(f"{name}: {error.message}") from None

    def _content(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._wire.receive("D")[1]
            if not 0 < len(piece) <= min(size, PIECE):
                raise _bad("a piece of content")
            size -= len(piece)
            yield piece

    def _complete(self, repo: OSTree.Repo, newest: str) -> None:
        """Whether all is there that the ref will reach; what was here before is."""
        here: str | None = newest
        if not self._has(repo, COMMIT, newest):
            raise _lacking(newest)
        while here is not None and here in self._commits:
            try:
                reached = repo.traverse_commit(here, 0, None)[1]
            except GLib.Error as error:
                raise _lacking(error.message) from None
            for name, kind in (key.unpack() for key in reached):
                if not repo.has_object(OSTree.ObjectType(kind), name, None)[1]:
                    raise _lacking(name)
            here = parent_of(self._history, here)


def _variant(kind: str, data: bytes, name: str) -> GLib.Variant:
    value = GLib.Variant.new_from_bytes(GLib.VariantType(kind), GLib.Bytes.new(data), False)
    if not value.is_normal_form():
        raise _corrupted(name)
    return value


def _is_sum(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_ref(value: object) -> bool:
    if not isinstance(value, str) or ":" in value:
        return False
    try:
        return bool(OSTree.validate_rev(value))
    except GLib.Error:
        return False


def _corrupted(what: str) -> StoreError:
    return StoreError(
        f"an object that came is not what its name says: {what}",
        reason="object-damaged",
        hint="dolmen store fsck",
    )


def _lacking(what: str) -> StoreError:
    return StoreError(
        f"not all came that the refs need: {what}",
        reason="object-missing",
        hint="dolmen store fsck",
    )


def _bad(what: str) -> HostError:
    return HostError(
        f"the sender speaks otherwise: {what}", reason="bad-message", hint="dolmen --version"
    )
