"""A commit's tree, filled from directories, archives and other commits."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gi.repository import Gio, OSTree

from dolmen.store.history.archives import renamed, renaming
from dolmen.store.history.gathering import gather
from dolmen.store.history.repository import History
from dolmen.store.history.revisions import load, resolve
from dolmen.support.errors import UsageError

if TYPE_CHECKING:
    from dolmen.store.history.committing import Source, Wish

_FLAGS = OSTree.RepoCommitModifierFlags
_HERE = -100  # AT_FDCWD
_HINT = "dolmen store commit --help"


def fill(history: History, wish: Wish) -> Any:
    """The tree of all sources.

    Raises UsageError ("usage") where `modes` or `skipped` name a path that no source has.
    """
    repo = history.repo
    mtree = OSTree.MutableTree.new() if wish.base is None else _whole(history, wish.base)
    unused = (dict(wish.modes), set(wish.skipped))
    modifier = _modifier(history, wish, unused)
    if wish.link_speedup:
        repo.scan_hardlinks(None)
    if modifier is not None:
        _label(history, wish, modifier)
    for number, source in enumerate(wish.sources):
        if source.kind == "dir" and number == 0 and wish.base is None and _divisible(wish):
            gather(
                repo,
                source.value,
                mtree,
                flags=_flags(history, wish),
                change=_filter(wish, unused) if _filtering(wish) else None,
                skipped=lambda path: _skips(wish, unused, path),
            )
        elif source.kind == "dir":
            repo.write_dfd_to_mtree(_HERE, source.value, mtree, modifier, None)
        elif source.kind == "tar":
            _archive(repo, source, mtree, modifier, wish)
        elif modifier is None and len(wish.sources) == 1 and wish.base is None:
            return _whole(history, source.value)
        else:
            root = repo.read_commit(resolve(history, source.value), None)[1]
            repo.write_directory_to_mtree(root, mtree, modifier, None)
    for what, left in (("statoverride", unused[0]), ("skip-list", unused[1])):
        if left:
            raise UsageError(f"Unmatched {what} path: {min(left)}", hint=_HINT)
    return mtree


def _whole(history: History, revision: str) -> Any:
    """Another commit's tree as it is: nothing is read but its two checksums."""
    found = load(history, resolve(history, revision))
    return OSTree.MutableTree.new_from_checksum(history.repo, found.tree, found.meta)


def _archive(repo: Any, source: Source, mtree: Any, modifier: Any, wish: Wish) -> None:
    number = 0 if source.value == "-" else os.open(source.value, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if wish.renaming is None:
            repo.write_archive_to_mtree_from_fd(number, mtree, modifier, wish.autocreate, None)
            return
        with renamed(number, renaming(wish.renaming)) as names:
            repo.write_archive_to_mtree_from_fd(names, mtree, modifier, wish.autocreate, None)
    finally:
        if number:
            os.close(number)


def _flags(history: History, wish: Wish) -> Any:
    only = history.mode == "bare-user-only"
    flags = _FLAGS.NONE
    for wanted, flag in (
        (not wish.xattrs or only, _FLAGS.SKIP_XATTRS),
        # Else directories would have modes in the commit that no checkout of it can have.
        (wish.canonical or only, _FLAGS.CANONICAL_PERMISSIONS),
        (wish.consume, _FLAGS.CONSUME),
        (wish.devino_canonical, _FLAGS.DEVINO_CANONICAL),
        (wish.sizes, _FLAGS.GENERATE_SIZES),
    ):
        if wanted:
            flags |= flag
    return flags


def _divisible(wish: Wish) -> bool:
    """Whether parts of a directory may be read apart.

    Labels depend on whole paths, consumed directories must be empty before they go, and what
    libostree notes of sizes is not made for several threads.
    """
    labels = wish.selinux_policy is not None or wish.selinux_from_base
    return not (labels or wish.consume or wish.sizes)


def _filtering(wish: Wish) -> bool:
    owners = wish.uid is not None or wish.gid is not None
    return bool(wish.read_only_executables or owners or wish.modes or wish.skipped)


def _modifier(history: History, wish: Wish, unused: tuple[dict[str, Any], set[str]]) -> Any:
    flags = _flags(history, wish)
    labels = wish.selinux_policy is not None or wish.selinux_from_base
    if not _filtering(wish) and not int(flags) and not labels:
        return None
    change = _filter(wish, unused) if _filtering(wish) else None
    return OSTree.RepoCommitModifier.new(flags, change)


def _label(history: History, wish: Wish, modifier: Any) -> None:
    """SELinux labels by the policy of a directory, or of what the tree begins with."""
    if wish.selinux_policy is not None:
        _label_by(wish.selinux_policy, modifier)
    elif wish.selinux_from_base:
        first = wish.sources[0]
        if wish.base is not None or first.kind == "ref":
            base = wish.base if wish.base is not None else first.value
            modifier.set_sepolicy_from_commit(history.repo, base, None)
        elif first.kind == "dir":
            _label_by(first.value, modifier)
        else:
            raise UsageError("Cannot use --selinux-policy-from-base with tar", hint=_HINT)


def _label_by(directory: str, modifier: Any) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        modifier.set_sepolicy(OSTree.SePolicy.new_at(fd, None))
    finally:
        os.close(fd)


def _filter(wish: Wish, unused: tuple[dict[str, Any], set[str]]) -> Callable[..., Any]:
    skip, allow = OSTree.RepoCommitFilterResult.SKIP, OSTree.RepoCommitFilterResult.ALLOW

    def change(_repo: Any, path: str, info: Gio.FileInfo, *_data: Any) -> Any:
        if wish.uid is not None:
            info.set_attribute_uint32("unix::uid", wish.uid)
        if wish.gid is not None:
            info.set_attribute_uint32("unix::gid", wish.gid)
        if wish.read_only_executables:
            mode = info.get_attribute_uint32("unix::mode")
            if stat.S_ISREG(mode) and mode & 0o111:
                info.set_attribute_uint32("unix::mode", mode & ~0o222)
        if path in wish.modes:
            how, bits = wish.modes[path]
            mode = info.get_attribute_uint32("unix::mode")
            mode = mode | bits if how == "+" else (mode & 0o170000) | bits
            info.set_attribute_uint32("unix::mode", mode)
            unused[0].pop(path, None)
        return skip if _skips(wish, unused, path) else allow

    return change


def _skips(wish: Wish, unused: tuple[dict[str, Any], set[str]], path: str) -> bool:
    unused[1].discard(path)
    return path in wish.skipped
