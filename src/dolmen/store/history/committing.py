"""Making commits of directories, tars and other commits."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.filling import fill
from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import load, metadata, resolve
from dolmen.store.repo.refs import lookup
from dolmen.support.clock import now
from dolmen.support.errors import StoreError, UsageError


@dataclass(frozen=True, slots=True)
class Source:
    """One tree of a commit: `kind` is "dir", "tar" or "ref"; later ones cover earlier ones."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a commit shall be.

    `parent`: a revision, "none", or None for what the branch has, if no body of its own is given
    by `orphan`. `timestamp`: seconds of UTC, None for now. `metadata`, `detached`: values in
    GVariant's own text. `bind`: refs to name in the commit; None for no bindings at all.
    `renaming`: `REGEX,REPLACEMENT` for the names in tars. `gpg_keys` sign by OpenPGP, `keys` by a
    scheme of libostree's own, `key_type`.
    """

    sources: Sequence[Source]
    base: str | None = None
    branch: str | None = None
    subject: str | None = None
    body: str | None = None
    parent: str | None = None
    timestamp: int | None = None
    uid: int | None = None
    gid: int | None = None
    xattrs: bool = True
    canonical: bool = False
    read_only_executables: bool = False
    bootable: bool = False
    link_speedup: bool = False
    devino_canonical: bool = False
    consume: bool = False
    autocreate: bool = False
    renaming: str | None = None
    sizes: bool = False
    selinux_policy: str | None = None
    selinux_from_base: bool = False
    skip_if_unchanged: bool = False
    sync: bool = True
    bind: Sequence[str] | None = ()
    metadata: Sequence[tuple[str, str]] = ()
    strings: Sequence[tuple[str, str]] = ()
    detached_strings: Sequence[tuple[str, str]] = ()
    keep_metadata: Sequence[str] = ()
    modes: dict[str, tuple[str, int]] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    gpg_keys: Sequence[str] = ()
    gpg_home: str | None = None
    keys: Sequence[str] = ()
    key_type: str = "ed25519"


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit; not `changed` where it is the parent, because nothing differs."""

    checksum: str
    changed: bool
    parent: str | None
    stats: dict[str, int] = field(default_factory=dict)


def commit(history: History, wish: Wish) -> Committed:
    """Write a commit and let its branch name it.

    Raises StoreError ("store-full", "no-revision", "ref-reserved", …), UsageError ("usage").
    """
    if wish.branch is not None:
        history.refuse_ours(wish.branch)
    with told():
        parent = _parent(history, wish)
        before = load(history, parent) if parent is not None else None
    if not wish.sync:
        history.repo.set_disable_fsync(True)
    with history.transaction() as repo:
        root = repo.write_mtree(fill(history, wish), None)[1]
        same = (root.tree_get_contents_checksum(), root.tree_get_metadata_checksum())
        if wish.skip_if_unchanged and before is not None and (before.tree, before.meta) == same:
            assert parent is not None
            if wish.branch is not None:
                repo.transaction_set_ref(None, wish.branch, parent)
            return Committed(parent, False, before.parent)
        checksum: str = repo.write_commit_with_time(
            parent,
            wish.subject,
            wish.body,
            _metadata(history, wish, parent, root),
            root,
            # Before 1970: libostree writes it as a positive number, in two's complement.
            (wish.timestamp if wish.timestamp is not None else _present()) % (1 << 64),
            None,
        )[1]
        if wish.detached_strings:
            pairs = {key: GLib.Variant("s", value) for key, value in wish.detached_strings}
            repo.write_commit_detached_metadata(checksum, GLib.Variant("a{sv}", pairs), None)
        _sign(repo, wish, checksum)
        if wish.branch is not None:
            repo.transaction_set_ref(None, wish.branch, checksum)
    return Committed(checksum, True, parent, history.counted())


def _sign(repo: OSTree.Repo, wish: Wish, checksum: str) -> None:
    """Sign before the transaction ends: a signed commit is never there without its signature."""
    if wish.keys:
        scheme = OSTree.sign_get_by_name(wish.key_type)
        for key in wish.keys:
            scheme.set_sk(GLib.Variant("s", key))
            scheme.commit(repo, checksum, None)
    for key in wish.gpg_keys:
        repo.sign_commit(checksum, key, wish.gpg_home, None)


def _parent(history: History, wish: Wish) -> str | None:
    if wish.parent == "none":
        return None
    if wish.parent is not None:
        return resolve(history, wish.parent)
    if wish.branch is None:
        return None
    return lookup(history.files, wish.branch)


def _metadata(history: History, wish: Wish, parent: str | None, root: Any) -> Any:
    found: dict[str, Any] = {}
    if wish.keep_metadata:
        if parent is None:
            raise UsageError("there is no parent to keep metadata of", hint="--parent=COMMIT")
        kept = metadata(history, parent)
        for key in wish.keep_metadata:
            if key not in kept:
                raise StoreError(
                    f"Missing metadata key '{key}' from commit '{parent}'",
                    reason="no-metadata",
                    hint=f"dolmen store show --raw {parent}",
                )
            found[key] = kept[key]
    for key, value in wish.strings:
        found[key] = GLib.Variant("s", value)
    for key, value in wish.metadata:
        found[key] = GLib.Variant.parse(None, value, None, None)
    if wish.bind is not None:
        refs = sorted({*wish.bind, *([wish.branch] if wish.branch is not None else [])})
        found["ostree.ref-binding"] = GLib.Variant("as", refs)
        collection = history.repo.get_collection_id()
        if collection and "ostree.collection-binding" not in found:
            found["ostree.collection-binding"] = GLib.Variant("s", collection)
    if wish.bootable:
        held = GLib.VariantDict.new(None)
        OSTree.commit_metadata_for_bootable(root, held, None)
        ended = held.end()
        for number in range(ended.n_children()):
            pair = ended.get_child_value(number)
            found[pair.get_child_value(0).get_string()] = pair.get_child_value(1).get_variant()
    return GLib.Variant("a{sv}", found) if found else None


def _present() -> int:
    """Now, or what SOURCE_DATE_EPOCH says; what it says wrongly is an error, as to ostree."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said is not None and not re.fullmatch(r"[0-9]{1,11}", said):
        words = "Parsing SOURCE_DATE_EPOCH: Numerical result out of range"
        raise UsageError(
            words if said.isdigit() else f"Failed to convert SOURCE_DATE_EPOCH: {said[:40]!r}",
            hint="unset SOURCE_DATE_EPOCH",
        )
    return int(now().timestamp())
