"""An image put where machines fetch it: named by its branch, signed, with deltas from those before.

The commit that `dolmen system build` makes belongs to no branch, for the same image may be of
several. What is published is the same tree under a commit that says which branch it is of: without
that a server could show one branch's image, correctly signed, as another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gi.repository import GLib, OSTree

from dolmen.store.history.pulling import pull_local
from dolmen.store.history.repository import History, told
from dolmen.store.history.signing import sign
from dolmen.store.repo.refs import lookup
from dolmen.support.errors import StoreError

_BINDING = "ostree.ref-binding"


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
    deltas: bool = False,
) -> Published:
    """Put a commit of the repository `source` into the archive repository `target` as `ref`.

    The repository is made where there is none. The branch moves last. Raises StoreError
    ("repository-mode", …), and what signing raises.
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
        made = _bound(repo, commit, ref)
        if keys:
            sign(history, made, tuple(keys), home=homedir)
        from_: list[str] = []
        if deltas and before is not None and before != made:
            empty = GLib.Variant("a{sv}", {})  # libostree does not bear NULL here
            repo.static_delta_generate(
                OSTree.StaticDeltaGenerateOpt.MAJOR, before, made, empty, empty, None
            )
            from_.append(before)
        repo.set_ref_immediate(None, ref, made, None)
        repo.regenerate_summary(None, None)
    return Published(ref, made, before if before != made else None, tuple(from_))


def _bound(repo: OSTree.Repo, commit: str, ref: str) -> str:
    """The same tree and metadata under a commit that names its branch; the same each time."""
    with told():
        variant = repo.load_commit(commit)[1]
        stamp = int(OSTree.commit_get_timestamp(variant))
        values = {_BINDING: GLib.Variant("as", [ref])}
        table = variant.get_child_value(0)
        for number in range(table.n_children()):
            entry = table.get_child_value(number)
            key = entry.get_child_value(0).get_string()
            if key not in (_BINDING, "ostree.sizes"):
                values[key] = entry.get_child_value(1).get_variant()
        root = repo.read_commit(commit, None)[1]
        repo.prepare_transaction(None)
        made = repo.write_commit_with_time(
            None,
            variant.get_child_value(3).get_string(),
            None,
            GLib.Variant("a{sv}", dict(sorted(values.items()))),
            root,
            stamp,
            None,
        )[1]
        repo.commit_transaction(None)
    return str(made)
