"""Mending a repository from others that have the same objects, byte for byte.

An object is taken only from what hashes to its name, is made anew beside the repository in its own
mode, and takes the damaged one's place by a rename: what cannot be replaced stays as it is. Objects
below a damaged directory are found once it is mended, so there are as many passes as it takes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gi.repository import GLib, OSTree

from dolmen.store.history.repository import History
from dolmen.store.history.revisions import load
from dolmen.store.objects import decode_dirtree
from dolmen.store.repo import refs
from dolmen.store.repo.examining import examiner
from dolmen.support.errors import DolmenError, StoreError
from dolmen.support.events import Emit, Notice, ignore
from dolmen.support.files import sync_directory

_KINDS = {"file": 1, "dirtree": 2, "dirmeta": 3, "commit": 4}
_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a repair did, or would do: objects by name (`checksum.kind`), mended and not."""

    mended: tuple[str, ...]
    left: tuple[str, ...]
    dry_run: bool = False


def restore(
    history: History, sources: Sequence[str], *, dry_run: bool = False, emit: Emit = ignore
) -> Restored:
    """Mend what is damaged or missing from other repositories (paths, or addresses to pull from).

    May be interrupted and typed again. Raises StoreError ("store-own" for the heart of a store,
    "no-repository", "store-failed", …).
    """
    if history.owner is not None:
        raise StoreError(
            "this repository is the store's own, and more than objects may need mending there",
            reason="store-own",
            hint="dolmen repair",
        )
    mended: list[str] = []
    with history.scratch() as work, history.changing():
        faults = _faults(history)
        if not faults:
            _unmark(history, dry_run)
            return Restored((), (), dry_run)
        peers = list(_peers(history, sources, faults, work, emit))
        while True:
            found = [name for name in sorted(faults) if _from(history, name, peers, work, dry_run)]
            mended += [".".join(name) for name in found]
            if dry_run or not found:
                break
            faults = _faults(history)
        left = [".".join(name) for name in sorted(faults) if ".".join(name) not in mended]
        _unmark(history, dry_run)
    return Restored(tuple(mended), tuple(left), dry_run)


def _faults(history: History) -> set[_Name]:
    """Objects that some commit or ref needs and that are not here, or not what they say."""
    repository = history.files
    examine = examiner(repository)
    known: dict[_Name, bool] = {}

    def whole(name: _Name) -> bool:
        if name not in known:
            known[name] = examine(name) is None
        return known[name]

    commits = {*repository.commits(), *refs.listed(repository).values()}
    for checksum in commits:
        if not whole((checksum, "commit")) or repository.state(checksum) == "partial":
            continue
        commit = load(history, checksum)
        whole((commit.meta, "dirmeta"))
        waiting = [commit.tree]
        while waiting:
            name = (waiting.pop(), "dirtree")
            if name in known or not whole(name):
                continue
            content = decode_dirtree(repository.read(*name))
            for file in content.files.values():
                whole((file, "file"))
            for tree, meta in content.dirs.values():
                whole((meta, "dirmeta"))
                waiting.append(tree)
    return {name for name, good in known.items() if not good}


def _peers(
    history: History, sources: Sequence[str], faults: set[_Name], work: Path, emit: Emit
) -> Iterator[History]:
    commits = sorted({*history.files.commits(), *refs.listed(history.files).values()})
    for number, source in enumerate(sources):
        if not source.startswith(("http://", "https://")):
            yield History.open(Path(source.removeprefix("file://")))
            continue
        # All commits that are here, as far as the other has them.
        copy = History.create(work / f"peer{number}", "archive")
        off = {key: GLib.Variant("b", False) for key in ("gpg-verify", "gpg-verify-summary")}
        add = OSTree.RepoRemoteChange.ADD
        # Nobody need be trusted: what comes is asked for by its checksum.
        copy.repo.remote_change(None, add, "peer", source, GLib.Variant("a{sv}", off), None)
        copy.repo.set_disable_fsync(True)
        for commit in commits:
            options = GLib.Variant("a{sv}", {"refs": GLib.Variant("as", [commit])})
            try:
                copy.repo.pull_with_options("peer", options, None, None)
            except GLib.Error as error:
                emit(Notice(f"{source}: {commit[:12]}: {error.message}", level="warning"))
        yield copy


def _from(
    history: History, name: _Name, peers: Sequence[History], work: Path, dry_run: bool
) -> bool:
    """Take one object from the first that has it whole; whether there was one."""
    for peer in peers:
        try:
            if examiner(peer.files)(name) is not None:
                continue
            if not dry_run:
                _replace(history, name, peer, work)
        except (GLib.Error, DolmenError, OSError):
            continue
        return True
    return False


def _replace(history: History, name: _Name, peer: History, work: Path) -> None:
    checksum, kind = name
    place = work / "made"
    made = History.open(place) if place.is_dir() else History.create(place, history.mode)
    number = OSTree.ObjectType(_KINDS[kind])
    repo = made.repo
    repo.set_disable_fsync(True)
    repo.prepare_transaction(None)
    try:
        if kind == "file":
            _, stream, size = peer.repo.load_object_stream(number, checksum, None)
            repo.write_content(checksum, stream, size, None)
        else:
            value = peer.repo.load_variant(number, checksum)[1]
            repo.write_metadata(number, checksum, value, None)
        repo.commit_transaction(None)
    except BaseException:
        with contextlib.suppress(GLib.Error):
            repo.abort_transaction(None)
        raise
    end = "filez" if kind == "file" and history.mode == "archive" else kind
    relative = f"objects/{checksum[:2]}/{checksum[2:]}.{end}"
    target = history.path / relative
    target.parent.mkdir(exist_ok=True)
    source = place / relative
    if not source.is_symlink():
        with source.open("rb") as written:
            os.fsync(written.fileno())
    source.rename(target)
    sync_directory(target.parent)


def _unmark(history: History, dry_run: bool) -> None:
    """Take the marks of earlier checks from commits that are whole now."""
    if dry_run:
        return
    faults = _faults(history)
    reason = OSTree.RepoCommitState.FSCK_PARTIAL
    for checksum in history.files.commits():
        if history.files.state(checksum) != "fsck":
            continue
        try:
            reached = history.repo.traverse_commit(checksum, 0, None)[1]
        except GLib.Error:
            continue
        numbers = {number: kind for kind, number in _KINDS.items()}
        names = {(key.unpack()[0], numbers[key.unpack()[1]]) for key in reached}
        if not names & faults:
            history.repo.mark_commit_partial_reason(checksum, False, reason)
