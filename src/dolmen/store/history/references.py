"""Refs: names of commits."""

from __future__ import annotations

from gi.repository import OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import resolve
from dolmen.store.repo import refs as files
from dolmen.support.errors import StoreError, UsageError


def refs(history: History, prefix: str | None = None, *, aliases: bool = False) -> dict[str, str]:
    """Refs and the commits that they name (of aliases: the refs), sorted; all or a prefix's."""
    return files.listed(history.files, prefix, aliases=aliases)


def create(
    history: History, name: str, revision: str, *, force: bool = False, alias: bool = False
) -> str:
    """Name a commit; the commit.

    Raises StoreError ("no-revision", "ref-taken", "ref-reserved").
    """
    remote, ref = _parsed(name)
    history.refuse_ours(ref)
    if alias and remote is not None:
        raise UsageError(f"Cannot create alias to remote ref: {remote}", hint=_ALIAS)
    if alias and files.lookup(history.files, revision, remotes=False) is None:
        raise StoreError(
            f"Cannot create alias to non-existent ref: {revision}",
            reason="no-revision",
            hint="dolmen store refs",
        )
    with history.changing() as repo:
        if not force and not alias and name in refs(history):
            raise StoreError(
                f"--create specified but ref {name} already exists",
                reason="ref-taken",
                hint=f"dolmen store refs --force --create={name} {revision}",
            )
        checksum = resolve(history, revision)
        if alias:
            repo.set_alias_ref_immediate(remote, ref, revision, None)
        else:
            repo.set_ref_immediate(remote, ref, checksum, None)
    return checksum


_ALIAS = "dolmen store refs --help"


def create_in_collection(
    history: History, name: str, revision: str, *, force: bool = False, alias: bool = False
) -> str:
    """Name a commit within a collection, COLLECTION:REF (a mirror's ref, most often); the commit.

    Raises StoreError ("no-revision", "ref-taken"), UsageError for an alias.
    """
    if alias:
        raise UsageError("an alias is of no collection", hint="dolmen store refs --help")
    collection, colon, ref = name.partition(":")
    if not colon:
        raise StoreError(
            f"Invalid collection ID {name}", reason="no-revision", hint="--create=COLLECTION:REF"
        )
    found = files.lookup(history.files, name, remotes=False)
    if found is not None and not force:
        raise StoreError(
            f"--create specified but ref {name} already exists",
            reason="ref-taken",
            hint=f"dolmen store refs -c --force --create={name} {revision}",
        )
    checksum = resolve(history, revision)
    with history.changing() as repo:
        key = OSTree.CollectionRef.new(collection, ref)
        repo.set_collection_ref_immediate(key, checksum, None)
    return checksum


def delete_collection(history: History, collection: str) -> list[str]:
    """Take away all refs of a collection; their names, `COLLECTION:REF`."""
    found = list(files.collections(history.files, collection))
    with history.changing() as repo:
        for owner, ref in found:
            if owner == history.files.collection:
                history.refuse_ours(ref)
            repo.set_collection_ref_immediate(OSTree.CollectionRef.new(owner, ref), None, None)
    return [f"{owner}:{ref}" for owner, ref in found]


def delete(history: History, prefix: str) -> list[str]:
    """Take away the refs of a name or below a prefix; their names.

    Raises StoreError ("no-revision" when there is none, "ref-reserved").
    """
    found = list(refs(history, prefix)) or list(refs(history, prefix, aliases=True))
    for name in found:
        history.refuse_ours(_parsed(name)[1])
    for name, target in refs(history, aliases=True).items():
        if target in found and name not in found:
            raise StoreError(
                f"Ref '{target}' has an active alias: '{name}'",
                reason="ref-needs",
                hint=f"dolmen store refs --delete {name}",
            )
    with history.changing() as repo:
        for name in found:
            remote, ref = _parsed(name)
            repo.set_ref_immediate(remote, ref, None, None)
    return found


def reset(history: History, branch: str, revision: str) -> tuple[str, str]:
    """Let a branch that exists name another commit; the one before and the one now.

    Raises StoreError ("no-revision", "ref-reserved").
    """
    history.refuse_ours(branch)
    if branch not in refs(history):
        raise StoreError(f"Invalid ref '{branch}'", reason="no-revision", hint="dolmen store refs")
    before = resolve(history, branch)
    checksum = resolve(history, revision)
    with history.transaction() as repo:
        repo.transaction_set_ref(None, branch, checksum)
    return before, checksum


def _parsed(name: str) -> tuple[str | None, str]:
    with told():
        _, remote, ref = OSTree.parse_refspec(name)
    return remote, ref
