"""Copying commits from another repository of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gi.repository import GLib, OSTree

from dolmen.store.history.references import refs
from dolmen.store.history.repository import History


@dataclass(frozen=True, slots=True)
class Pulled:
    """The refs that were asked for, and libostree's own summary."""

    refs: tuple[str, ...]
    summary: str


def pull_local(
    history: History,
    source: Path,
    wanted: Sequence[str] = (),
    *,
    remote: str | None = None,
    depth: int = 0,
    untrusted: bool = False,
    bareuseronly_files: bool = False,
    commit_metadata_only: bool = False,
    sync: bool = True,
) -> Pulled:
    """Copy refs (or commits by checksum) with all that they need; all refs by default.

    Raises StoreError ("no-repository", "no-revision", "object-damaged", "ref-reserved", …).
    """
    other = History.open(source)
    names = list(wanted)
    if not names:
        names = [name for name in refs(other) if ":" not in name]
    for name in names:
        if remote is None:
            history.refuse_ours(name)
    flag = OSTree.RepoPullFlags
    flags = flag.NONE
    for given, value in (
        (untrusted or bareuseronly_files, flag.UNTRUSTED),
        (bareuseronly_files, flag.BAREUSERONLY_FILES),
        (commit_metadata_only, flag.COMMIT_ONLY),
    ):
        if given:
            flags |= value
    options: dict[str, GLib.Variant] = {
        "flags": GLib.Variant("i", int(flags)),
        "refs": GLib.Variant("as", names),
        "depth": GLib.Variant("i", depth),
        "disable-static-deltas": GLib.Variant("b", True),
    }
    if remote is not None:
        # The name need not be that of a remote with a configuration, hence none with keys.
        options["gpg-verify"] = GLib.Variant("b", False)
        options["gpg-verify-summary"] = GLib.Variant("b", False)
        options["disable-sign-verify"] = GLib.Variant("b", True)
        options["disable-sign-verify-summary"] = GLib.Variant("b", True)
        options["override-remote-name"] = GLib.Variant("s", remote)
    progress = OSTree.AsyncProgress.new()
    with history.changing() as repo:
        if not sync:
            repo.set_disable_fsync(True)
        repo.pull_with_options(
            f"file://{os.path.abspath(source)}", GLib.Variant("a{sv}", options), progress, None
        )
    summary = progress.get_status() or ""
    progress.finish()
    return Pulled(tuple(names), summary)
