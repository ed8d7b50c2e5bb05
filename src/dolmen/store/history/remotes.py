"""Repositories elsewhere: where they are, and what is fetched from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gi.repository import GLib, OSTree

from dolmen.store.history.pulling import Pulled
from dolmen.store.history.repository import History, told

_CHANGES = OSTree.RepoRemoteChange


def add_remote(
    history: History,
    name: str,
    url: str,
    *,
    options: Mapping[str, str],
    branches: Sequence[str] = (),
    keep: bool = False,
    replace: bool = False,
) -> None:
    """Remember a remote; `keep` one of this name that is there, or `replace` it.

    Raises StoreError ("store-failed") where there is one.
    """
    values = {key: GLib.Variant("s", value) for key, value in options.items()}
    if branches:
        values["branches"] = GLib.Variant("as", list(branches))
    change = _CHANGES.ADD_IF_NOT_EXISTS if keep else _CHANGES.ADD
    with history.changing() as repo:
        repo.remote_change(
            None,
            _CHANGES.REPLACE if replace else change,
            name,
            url,
            GLib.Variant("a{sv}", values) if values else None,
            None,
        )


def delete_remote(history: History, name: str, *, keep: bool = False) -> None:
    """Forget a remote; `keep` quiet where there is none."""
    with history.changing() as repo:
        change = _CHANGES.DELETE_IF_EXISTS if keep else _CHANGES.DELETE
        repo.remote_change(None, change, name, None, None, None)


def remotes(history: History) -> dict[str, str]:
    """Remotes and their addresses, sorted."""
    with told():
        names = sorted(history.repo.remote_list() or ())
        return {name: history.repo.remote_get_url(name)[1] for name in names}


def remote_url(history: History, name: str) -> str:
    """The address of a remote; raises StoreError ("store-failed") where there is none."""
    with told():
        return str(history.repo.remote_get_url(name)[1])


def write_summary(history: History) -> None:
    """Write the list of refs that those who pull read first."""
    with history.changing() as repo:
        repo.regenerate_summary(None, None)


def pull(
    history: History,
    remote: str,
    names: Sequence[str] = (),
    *,
    depth: int = 0,
    mirror: bool = False,
    subpaths: Sequence[str] = (),
    url: str | None = None,
    untrusted: bool = False,
    bareuseronly_files: bool = False,
    commit_metadata_only: bool = False,
    trusted: bool = False,
    forward_only: bool = False,
    since: str | None = None,
    deltas: bool = True,
    sync_each: bool = False,
    sync: bool = True,
) -> Pulled:
    """Fetch refs (default: those of the remote's configuration) with all that they need.

    `REF@COMMIT` asks for a commit that the ref named once; `forward_only` refuses commits older
    than what is here, `since` than that commit. What comes is checked against its checksums (not
    with `trusted`), and against keys where the remote has them.
    """
    flag = OSTree.RepoPullFlags
    flags = flag.NONE
    for given, value in (
        (mirror, flag.MIRROR),
        (untrusted or bareuseronly_files, flag.UNTRUSTED),
        (bareuseronly_files, flag.BAREUSERONLY_FILES),
        (commit_metadata_only, flag.COMMIT_ONLY),
        (trusted, flag.TRUSTED_HTTP),
    ):
        if given:
            flags |= value
    options: dict[str, GLib.Variant] = {
        "flags": GLib.Variant("i", int(flags)),
        "depth": GLib.Variant("i", depth),
        "disable-static-deltas": GLib.Variant("b", not deltas),
    }
    if names:
        pairs = [name.partition("@")[::2] for name in names]
        options["refs"] = GLib.Variant("as", [name for name, _ in pairs])
        if any(commit for _, commit in pairs):
            ids = [commit for _, commit in pairs]
            options["override-commit-ids"] = GLib.Variant("as", ids)
    if sync_each:
        options["per-object-fsync"] = GLib.Variant("b", True)
    if forward_only:
        options["timestamp-check"] = GLib.Variant("b", True)
    if since is not None:
        options["timestamp-check-from-rev"] = GLib.Variant("s", since)
    if subpaths:
        options["subdirs"] = GLib.Variant("as", list(subpaths))
    if url is not None:
        options["override-url"] = GLib.Variant("s", url)
    progress = OSTree.AsyncProgress.new()
    with history.changing() as repo:
        if not sync:
            repo.set_disable_fsync(True)
        repo.pull_with_options(remote, GLib.Variant("a{sv}", options), progress, None)
    summary = progress.get_status() or ""
    progress.finish()
    return Pulled(tuple(names), summary)
