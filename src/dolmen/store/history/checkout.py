"""Writing a commit's tree, or a part of it, into a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gi.repository import OSTree

from dolmen.store.history.repository import History, told
from dolmen.support.errors import UsageError
from dolmen.support.files import remove_tree

_OVER = OSTree.RepoCheckoutOverwriteMode


@dataclass(frozen=True, slots=True)
class Manner:
    """How to check out, named as `ostree checkout` names its options.

    `over`: what happens to files that are there: "none" (refused), "union" (replaced), "add" (they
    stay), "identical" (refused unless equal). `skipped`: paths below the destination to leave out;
    only for a directory of its own, since they are taken away again.
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


_OVERS = {
    "none": _OVER.NONE,
    "union": _OVER.UNION_FILES,
    "add": _OVER.ADD_FILES,
    "identical": _OVER.UNION_IDENTICAL,
}


def checkout(history: History, checksum: str, destination: Path, manner: Manner) -> None:
    """Check a commit out.

    Raises StoreError ("path-exists", "object-missing", "store-failed"), UsageError ("usage").
    """
    if manner.hard_links and manner.copies:
        raise UsageError("hard links or copies, not both", hint="dolmen store checkout --help")
    if manner.over == "identical" and not manner.hard_links:
        raise UsageError(
            "--union-identical requires --require-hardlinks", hint="dolmen store checkout --help"
        )
    if manner.skipped and (manner.over != "none" or destination.exists()):
        raise UsageError(
            "--skip-list is for a directory that is not there yet",
            hint="dolmen store checkout --help",
        )
    options = OSTree.RepoCheckoutAtOptions()
    user = manner.user or history.mode == "bare-user-only"
    modes = OSTree.RepoCheckoutMode
    options.mode = modes.USER if user else modes.NONE
    options.overwrite_mode = _OVERS[manner.over]
    options.enable_uncompressed_cache = manner.cache and user and history.mode == "archive"
    options.enable_fsync = manner.sync
    options.no_copy_fallback = manner.hard_links
    options.force_copy = manner.copies
    options.force_copy_zerosized = manner.copies_of_empty
    options.process_whiteouts = manner.whiteouts
    options.process_passthrough_whiteouts = manner.passthrough
    options.bareuseronly_dirs = manner.bareuseronly_dirs
    if manner.subpath is not None:
        options.subpath = manner.subpath
    at = -100  # AT_FDCWD
    with told():
        if not manner.sync:
            history.repo.set_disable_fsync(True)
        history.repo.checkout_at(options, at, str(destination), checksum, None)
        for path in manner.skipped:
            _take_away(destination, path)


def _take_away(destination: Path, path: str) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    place = destination.joinpath(*parts)
    # Nothing outside the destination: neither by name nor through a link in it.
    if (
        not parts
        or ".." in parts
        or any(
            (destination.joinpath(*parts[:number])).is_symlink() for number in range(1, len(parts))
        )
    ):
        return
    if place.is_dir() and not place.is_symlink():
        remove_tree(place)
    else:
        place.unlink(missing_ok=True)
