"""Writing a commit's tree, or a part of it, into a directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gi.repository import Gio, OSTree

from dolmen.store.history.crew import size, work
from dolmen.store.history.native import Flags, checkout_at
from dolmen.store.history.repository import History, told
from dolmen.support.errors import UsageError
from dolmen.support.files import remove_tree

#: Pieces per thread, and the most threads: hard links are made by the kernel, not by us.
_PIECES = 8
_MOST = 4
_HINT = "dolmen store checkout --help"


@dataclass(frozen=True, slots=True)
class Manner:
    """How to check out, named as `ostree checkout` names its options.

    `over`: what happens to files that are there: "none" (refused), "union" (replaced), "add" (they
    stay), "identical" (refused unless equal). `skipped`: paths of the tree to leave out. `sync`:
    what was written is on the disk when it returns. `selinux_policy`: a root whose policy says the
    labels, of paths below `selinux_prefix`.
    """

    over: str = "none"
    user: bool = False
    subpath: str | None = None
    hard_links: bool = False
    copies: bool = False
    copies_of_empty: bool = False
    whiteouts: bool = False
    passthrough: bool = False
    bareuseronly_dirs: bool = False
    cache: bool = True
    sync: bool = True
    skipped: tuple[str, ...] = ()
    selinux_policy: str | None = None
    selinux_prefix: str | None = None


#: OstreeRepoCheckoutOverwriteMode.
_OVERS = {"none": 0, "union": 1, "add": 2, "identical": 3}


def checkout(history: History, checksum: str, destination: Path, manner: Manner) -> None:
    """Check a commit out.

    Raises StoreError ("path-exists", "object-missing", "store-failed"), UsageError ("usage").
    """
    copies = manner.copies or manner.selinux_policy is not None
    if manner.hard_links and copies:
        raise UsageError(
            "Cannot specify both --require-hardlinks and --force-copy: hard links or copies",
            hint=_HINT,
        )
    if manner.over == "identical" and not manner.hard_links:
        raise UsageError("--union-identical requires --require-hardlinks", hint=_HINT)
    if manner.selinux_prefix is not None and manner.selinux_policy is None:
        raise UsageError("Cannot specify --selinux-prefix without --selinux-policy", hint=_HINT)
    user = manner.user or history.mode == "bare-user-only"
    flags = Flags(
        mode=int(user),
        overwrite_mode=_OVERS[manner.over],
        enable_uncompressed_cache=manner.cache and user and history.mode == "archive",
        no_copy_fallback=manner.hard_links,
        force_copy=copies,
        force_copy_zerosized=manner.copies_of_empty,
        process_whiteouts=manner.whiteouts,
        process_passthrough_whiteouts=manner.passthrough,
        bareuseronly_dirs=manner.bareuseronly_dirs,
    )
    skipped = frozenset(manner.skipped)
    write = partial(checkout_at, history.repo, flags, commit=checksum)
    fresh = not os.path.lexists(destination)
    with _all_or_nothing(destination, fresh), told():
        # One sync at the end is as good as one of each file and directory, and much faster.
        history.repo.set_disable_fsync(True)
        pieces = (
            _cut(history.repo, checksum, manner.subpath or "/")
            if fresh and not skipped and _divisible(manner, flags)
            else []
        )
        if len(pieces) > 1:
            _spread(write, pieces, os.fspath(destination), dated=not copies)
        else:
            write(
                os.fspath(destination),
                subpath=manner.subpath,
                skips=skipped.__contains__ if skipped else None,
                policy=_policy(manner.selinux_policy),
                prefix=manner.selinux_prefix,
            )
        if manner.sync:
            from dolmen.store.syncing import sync_file_system

            sync_file_system(destination if destination.is_dir() else destination.parent)
            if fresh:
                sync_file_system(destination.absolute().parent)


@contextlib.contextmanager
def _all_or_nothing(destination: Path, fresh: bool) -> Iterator[None]:
    """Where a directory could not be filled it goes again; a kill leaves what was made."""
    try:
        yield
    except BaseException as error:
        # Somebody else's is left alone: it came meanwhile.
        if fresh and getattr(error, "reason", "") != "path-exists":
            with contextlib.suppress(OSError):
                remove_tree(destination)
        raise


def has_path(history: History, checksum: str, path: str) -> bool:
    """Whether a commit's tree has this path."""
    with told():
        root = history.repo.read_commit(checksum, None)[1]
        return bool(root.resolve_relative_path(path).query_exists(None))


def _divisible(manner: Manner, flags: Flags) -> bool:
    """Whether parts may be written apart: no part may say what becomes of another."""
    whole = manner.whiteouts or manner.passthrough or manner.selinux_policy is not None
    return not (whole or flags.enable_uncompressed_cache)


def _policy(root: str | None) -> Any:
    if root is None:
        return None
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return OSTree.SePolicy.new_at(fd, None)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A directory of the tree and all below it; `without`: its subdirectories, if they are apart.

    `path`: from the root of what is checked out, "" or "/usr"; `subpath`: from the tree's.
    """

    path: str
    subpath: str
    without: frozenset[str] = frozenset()


def _cut(repo: OSTree.Repo, checksum: str, subpath: str) -> list[_Piece]:
    """Level by level, until there are enough pieces; a directory before what is in it."""
    threads = size(_MOST)
    found = repo.read_commit(checksum, None)[1].resolve_relative_path(subpath)
    kind = found.query_file_type(Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, None)
    if threads < 2 or kind != Gio.FileType.DIRECTORY:
        return []
    found.ensure_resolved()
    base = subpath.rstrip("/")
    outer: list[_Piece] = []
    level = [("", found.tree_get_contents_checksum(), found.tree_get_metadata_checksum())]
    done: list[_Piece] = []
    while level and len(done) + len(level) < threads * _PIECES:
        below: list[tuple[str, str, str]] = []
        for path, tree, meta in level:
            rows = _directories(repo, tree)
            if not rows or not _open_to_owner(repo, meta):
                done.append(_Piece(path, base + path or "/"))
                continue
            names = frozenset(f"/{name}" for name, *_ in rows)
            outer.append(_Piece(path, base + path or "/", names))
            below += [(f"{path}/{name}", below_tree, mode) for name, below_tree, mode in rows]
        level = below
    return outer + [_Piece(path, base + path) for path, *_ in level] + done


def _directories(repo: OSTree.Repo, checksum: str) -> list[tuple[str, str, str]]:
    """The subdirectories of a dirtree: name, dirtree, dirmeta."""
    rows = repo.load_variant(OSTree.ObjectType.DIR_TREE, checksum)[1].get_child_value(1)
    found = []
    for number in range(rows.n_children()):
        row = rows.get_child_value(number)
        tree, meta = (_data(row.get_child_value(place)).hex() for place in (1, 2))
        found.append((row.get_child_value(0).get_string(), tree, meta))
    return found


def _data(value: Any) -> bytes:
    return bytes(value.get_data_as_bytes().get_data())


def _open_to_owner(repo: OSTree.Repo, meta: str) -> bool:
    """Whether its owner, once it has its mode, may still make something in it."""
    data = _data(repo.load_variant(OSTree.ObjectType.DIR_META, meta)[1])
    return int.from_bytes(data[8:12], "big") & 0o700 == 0o700


def _spread(
    write: Callable[..., None], pieces: list[_Piece], destination: str, *, dated: bool
) -> None:
    """Write the pieces by several threads: first the directories that others lie in."""
    stop = Gio.Cancellable.new()

    def one(piece: _Piece) -> None:
        skips = piece.without.__contains__ if piece.without else None
        write(destination + piece.path, subpath=piece.subpath, skips=skips, cancellable=stop)

    outer = [piece for piece in pieces if piece.without]
    for piece in outer:
        one(piece)
    work(one, (piece for piece in pieces if not piece.without), stop, _MOST)
    if dated:
        for piece in reversed(outer):
            os.utime(destination + piece.path, (0, 0))
