"""Copying commits from other repositories, of this machine or of remotes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.references import refs
from dolmen.store.history.repository import History
from dolmen.support.errors import StoreError, UsageError

_FLAG = OSTree.RepoPullFlags
_HERE = -100  # AT_FDCWD
_FIGURES = {
    "fetched-delta-parts": "u",
    "total-delta-parts": "u",
    "fetched-delta-fallbacks": "u",
    "total-delta-fallbacks": "u",
    "fetched-delta-part-size": "t",
    "total-delta-part-size": "t",
    "total-delta-part-usize": "t",
}


@dataclass(frozen=True, slots=True)
class Pulled:
    """The refs that were asked for, and libostree's own summary."""

    refs: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How to pull, named as `ostree pull` names its options.

    `depth`: parents to take, -1 for all. `untrusted`: check every object, also of this machine.
    `bareuseronly_files`: refuse files that a bare-user-only repository cannot keep.
    """

    depth: int = 0
    untrusted: bool = False
    bareuseronly_files: bool = False
    commit_metadata_only: bool = False
    need_deltas: bool = False
    verify_bindings: bool = True
    sync_each: bool = False
    sync: bool = True

    def flags(self) -> Any:
        """As libostree's flags."""
        flags = _FLAG.NONE
        for given, value in (
            (self.untrusted or self.bareuseronly_files, _FLAG.UNTRUSTED),
            (self.bareuseronly_files, _FLAG.BAREUSERONLY_FILES),
            (self.commit_metadata_only, _FLAG.COMMIT_ONLY),
        ):
            if given:
                flags |= value
        return flags

    def options(self) -> dict[str, GLib.Variant]:
        """As libostree's options, the flags left out."""
        return {
            "depth": GLib.Variant("i", self.depth),
            "require-static-deltas": GLib.Variant("b", self.need_deltas),
            "disable-verify-bindings": GLib.Variant("b", not self.verify_bindings),
            "per-object-fsync": GLib.Variant("b", self.sync_each),
        }


@dataclass(frozen=True, slots=True)
class Transfer:
    """What concerns remotes only.

    `forward_only` refuses commits older than what is here, `since` than that commit. `trusted`:
    objects' checksums are not looked at. `caches`: repositories of this machine to look in first.
    `dry_run`: say what deltas would bring, and fetch nothing.
    """

    mirror: bool = False
    subpaths: Sequence[str] = ()
    url: str | None = None
    trusted: bool = False
    forward_only: bool = False
    since: str | None = None
    deltas: bool = True
    dry_run: bool = False
    headers: Sequence[tuple[str, str]] = ()
    agent: str | None = None
    caches: Sequence[str] = ()
    cache_dir: Path | None = None
    retries: int | None = None
    frequency: int = 0


def pull_local(
    history: History,
    source: Path,
    wanted: Sequence[str] = (),
    *,
    remote: str | None = None,
    gpg_verify: bool = False,
    gpg_verify_summary: bool = False,
    **how: Any,
) -> Pulled:
    """Copy refs (or commits by checksum) with all that they need; all refs by default.

    `how`: fields of Manner.
    Raises StoreError ("no-repository", "no-revision", "object-damaged", "ref-reserved", …).
    """
    manner = Manner(**how)
    other = History.open(source)
    names = list(wanted)
    if not names:
        names = list(refs(other))
        for name in names:
            if ":" in name:
                # To leave it out would be a copy that lacks something, and nobody told.
                raise StoreError(
                    f"Invalid ref name {name}: it is a remote's; name the refs to copy",
                    reason="bad-ref",
                    hint=f"dolmen store pull-local {source} {name.rpartition(':')[2]}",
                )
    for name in names:
        if remote is None:
            history.refuse_ours(name)
    # Signatures of libostree's own kind are never looked at here, as `ostree pull-local` does.
    options = {
        **manner.options(),
        "flags": GLib.Variant("i", int(manner.flags())),
        "refs": GLib.Variant("as", names),
        "disable-sign-verify": GLib.Variant("b", True),
        "disable-sign-verify-summary": GLib.Variant("b", True),
    }
    for key, given in (("gpg-verify", gpg_verify), ("gpg-verify-summary", gpg_verify_summary)):
        # Of a remote that has no configuration, said here: else libostree looks for one.
        if given or (remote is not None and remote not in (history.repo.remote_list() or ())):
            options[key] = GLib.Variant("b", given)
    if remote is not None:
        options["override-remote-name"] = GLib.Variant("s", remote)
    summary = _pull(history, f"file://{os.path.abspath(source)}", options, manner.sync)
    return Pulled(tuple(names), summary)


def pull(
    history: History,
    remote: str,
    names: Sequence[str] = (),
    manner: Manner = Manner(),
    transfer: Transfer = Transfer(),
) -> Pulled:
    """Fetch refs (default: those of the remote's configuration) with all that they need.

    `REF@COMMIT` asks for a commit that the ref named once. What comes is checked against its
    checksums (not with `trusted`), and against keys where the remote has them.
    """
    if transfer.dry_run and not manner.need_deltas:
        raise UsageError(
            "--dry-run requires --require-static-deltas", hint="dolmen store pull --help"
        )
    flags = manner.flags()
    if transfer.mirror:
        flags |= _FLAG.MIRROR
    if transfer.trusted and not manner.untrusted:
        flags |= _FLAG.TRUSTED_HTTP
    options = {
        **manner.options(),
        "flags": GLib.Variant("i", int(flags)),
        "disable-static-deltas": GLib.Variant("b", not transfer.deltas),
        "dry-run": GLib.Variant("b", transfer.dry_run),
        "update-frequency": GLib.Variant("u", transfer.frequency),
    }
    if names:
        pairs = [name.rpartition("@") if "@" in name else (name, "", "") for name in names]
        options["refs"] = GLib.Variant("as", [name for name, _, _ in pairs])
        if any(at for _, at, _ in pairs):
            options["override-commit-ids"] = GLib.Variant("as", [commit for *_, commit in pairs])
    for key, kind, value in (
        ("timestamp-check", "b", transfer.forward_only or None),
        ("timestamp-check-from-rev", "s", transfer.since),
        ("subdirs", "as", list(transfer.subpaths) or None),
        ("override-url", "s", transfer.url),
        ("http-headers", "a(ss)", list(transfer.headers) or None),
        ("append-user-agent", "s", transfer.agent),
        ("localcache-repos", "as", list(transfer.caches) or None),
        ("n-network-retries", "u", transfer.retries),
    ):
        if value is not None:
            options[key] = GLib.Variant(kind, value)
    if transfer.cache_dir is not None:
        history.repo.set_cache_dir(_HERE, str(transfer.cache_dir), None)
    summary = _pull(history, remote, options, manner.sync, dry=transfer.dry_run)
    return Pulled(tuple(names), summary)


def _pull(
    history: History,
    remote: str,
    options: Mapping[str, GLib.Variant],
    sync: bool,
    *,
    dry: bool = False,
) -> str:
    progress = OSTree.AsyncProgress.new()
    with history.changing() as repo:
        if not sync:
            repo.set_disable_fsync(True)
        repo.pull_with_options(remote, GLib.Variant("a{sv}", options), progress, None)
    summary = _would(progress) if dry else progress.get_status() or ""
    progress.finish()
    return summary


def _would(progress: OSTree.AsyncProgress) -> str:
    """What a dry run found, as `ostree pull --dry-run` says it."""
    found = {}
    for name, kind in _FIGURES.items():
        found[name] = progress.get_uint(name) if kind == "u" else progress.get_uint64(name)
    parts = found["fetched-delta-parts"] + found["fetched-delta-fallbacks"]
    total = found["total-delta-parts"] + found["total-delta-fallbacks"]
    sizes = [
        GLib.format_size(found[name])
        for name in ("fetched-delta-part-size", "total-delta-part-size", "total-delta-part-usize")
    ]
    return (
        f"Delta update: {parts}/{total} parts, {sizes[0]}/{sizes[1]}, {sizes[2]} total uncompressed"
    )
