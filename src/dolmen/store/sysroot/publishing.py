"""An image put where machines fetch it: named by its branch, signed, with a delta to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gi.repository import GLib, OSTree

from dolmen.store.history.pulling import pull_local
from dolmen.store.history.repository import History
from dolmen.store.history.signing import sign
from dolmen.store.repo.commits import load
from dolmen.store.repo.refs import lookup
from dolmen.store.sysroot.binding import BINDING, bound, write
from dolmen.support.errors import StoreError


@dataclass(frozen=True, slots=True)
class Published:
    """The commit of a branch now, and the one before; `deltas`: from which commits there are."""

    ref: str
    commit: str
    before: str | None
    deltas: tuple[str, ...] = ()


def publish(
    source: Path,
    commit: str,
    target: Path,
    ref: str,
    *,
    keys: Sequence[str] = (),
    homedir: Path | None = None,
    deltas: int = 0,
) -> Published:
    """Put a commit of the repository `source` into the archive repository `target` as `ref`.

    The repository is made where there is none. `deltas`: from how many of the branch's commits
    that are there. The branch moves last. Raises StoreError ("repository-mode", …), and what
    signing raises.
    """
    if not (target / "config").is_file():
        History.create(target, "archive")
    history = History.open(target)
    if history.mode != "archive":
        raise StoreError(
            f"the repository has mode {history.mode}, and web servers show archives",
            reason="repository-mode",
            context=str(target),
            hint="name a directory that is not there yet, or: dolmen store --repo=DIR init",
        )
    pull_local(history, source, [commit], untrusted=True)
    with history.changing() as repo:
        before = lookup(history.files, ref)
        made, content = bound(history, commit, ref)
        repo.prepare_transaction(None)
        write(repo, content)
        repo.commit_transaction(None)
        if keys:
            sign(history, made, tuple(keys), home=homedir)
        earlier = _earlier(history, ref, before, made)[:deltas]
        for one in earlier:
            empty = GLib.Variant("a{sv}", {})  # libostree does not bear NULL here
            repo.static_delta_generate(
                OSTree.StaticDeltaGenerateOpt.MAJOR, one, made, empty, empty, None
            )
        repo.set_ref_immediate(None, ref, made, None)
        repo.regenerate_summary(None, None)
    return Published(ref, made, before if before != made else None, tuple(earlier))


def _earlier(history: History, ref: str, before: str | None, made: str) -> list[str]:
    """The branch's commits that are here whole: the one before, then from the newest on."""
    found = []
    for checksum in history.files.commits():
        if checksum == made or history.files.state(checksum):
            continue
        commit = load(history.files, checksum)
        binding = commit.metadata().get(BINDING)
        if checksum == before or (binding is not None and ref in binding.value):
            found.append((checksum != before, -commit.timestamp, checksum))
    return [checksum for _, _, checksum in sorted(found)]
