"""A directory read into a new tree by several threads.

libostree reads a directory in one thread, and hashing and compressing are most of the work. Its
own pulls write objects from several threads into one transaction, so a commit may as well: the
tree is cut into subtrees that know nothing of each other, and each is read by libostree as before.
The bindings let go of Python's lock during a call, which is why threads help.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.crew import size, work

# The bindings make classes and their members when they are first asked for, and not safely by
# several threads at once (seen: FileType without DIRECTORY): all that the threads use is asked for
# here.
_ALLOW = OSTree.RepoCommitFilterResult.ALLOW
_SKIP = OSTree.RepoCommitFilterResult.SKIP
_DIRECTORY = Gio.FileType.DIRECTORY
_USED = (
    Gio.FileInfo.get_file_type,
    Gio.FileInfo.get_attribute_uint32,
    Gio.FileInfo.set_attribute_uint32,
    OSTree.RepoCommitModifier.new,
    OSTree.MutableTree.ensure_dir,
    OSTree.Repo.write_dfd_to_mtree,
)
_HERE = -100  # AT_FDCWD
#: Pieces per thread: enough that the last one does not keep the others waiting for long.
_PIECES = 16
_MOST = 8


@dataclass(frozen=True, slots=True)
class _Piece:
    """A directory to read, with all below it or (`flat`) without its subdirectories."""

    directory: str
    path: str
    mtree: Any
    flat: bool


def gather(
    repo: OSTree.Repo,
    directory: str,
    mtree: OSTree.MutableTree,
    *,
    flags: Any,
    change: Callable[..., Any] | None,
    skipped: Callable[[str], bool],
) -> None:
    """Read `directory` into `mtree`, which must be new: nobody else knows of its parts.

    `flags`, `change`: as libostree's commit modifier takes them; `change` gets paths as if the
    whole were read at once. `skipped` says of a directory's path whether it is left out, before
    anybody looks into it.
    """
    threads = size(_MOST)
    pieces = _cut(directory, mtree, threads * _PIECES if threads > 1 else 1, skipped)
    stop = Gio.Cancellable.new()
    failed: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failed.append(error)
        stop.cancel()

    def read(piece: _Piece) -> None:
        modifier = None
        if piece.flat or change is not None or int(flags):
            modifier = OSTree.RepoCommitModifier.new(flags, _filter(piece, change, fail))
        try:
            repo.write_dfd_to_mtree(_HERE, piece.directory, piece.mtree, modifier, stop)
        except GLib.Error as error:
            if piece.path and "'/" in error.message:
                error.message = error.message.replace("'/", f"'{piece.path}/", 1)
            raise

    try:
        work(read, pieces, stop, _MOST if len(pieces) > 1 else 1)
    except GLib.Error:
        if not failed:
            raise
    if failed:
        raise failed[0]


def _cut(
    directory: str, mtree: OSTree.MutableTree, wanted: int, skipped: Callable[[str], bool]
) -> list[_Piece]:
    """Level by level, until there are enough pieces or nothing is left to cut."""
    done: list[_Piece] = []
    level = [_Piece(directory, "", mtree, flat=False)]
    while level and len(done) + len(level) < wanted:
        below: list[_Piece] = []
        for piece in level:
            names = _subdirectories(piece.directory)
            if not names:
                done.append(piece)
                continue
            done.append(_Piece(piece.directory, piece.path, piece.mtree, flat=True))
            for name in names:
                path = f"{piece.path}/{name}"
                if not skipped(path):
                    child = piece.mtree.ensure_dir(name)[1]
                    below.append(_Piece(f"{piece.directory}/{name}", path, child, flat=False))
        level = below
    # The deep ones first: they are the large ones.
    return level + done


def _subdirectories(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def _filter(
    piece: _Piece, change: Callable[..., Any] | None, fail: Callable[[BaseException], None]
) -> Callable[..., Any] | None:
    if change is None and not piece.flat:
        return None

    def apply(repo: Any, path: str, info: Gio.FileInfo, *data: Any) -> Any:
        # What is raised here would be printed and then forgotten, and the tree be another.
        try:
            if piece.flat and path != "/" and info.get_file_type() == _DIRECTORY:
                return _SKIP
            if change is None:
                return _ALLOW
            whole = path if not piece.path else piece.path if path == "/" else piece.path + path
            return change(repo, whole, info, *data)
        except BaseException as error:
            fail(error)
            return _SKIP

    return apply
