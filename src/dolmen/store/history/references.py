"""Refs: names of commits."""

from __future__ import annotations

from gi.repository import OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import resolve
from dolmen.support.errors import StoreError

_FLAGS = OSTree.RepoListRefsExtFlags


def refs(history: History, prefix: str | None = None, *, aliases: bool = False) -> dict[str, str]:
    """Refs and the commits that they name (of aliases: the refs), sorted; all or a prefix's."""
    with told():
        flags = _FLAGS.ALIASES if aliases else _FLAGS.NONE
        found = history.repo.list_refs_ext(prefix, flags, None)[1]
    return dict(sorted(found.items()))


def create(
    history: History, name: str, revision: str, *, force: bool = False, alias: bool = False
) -> str:
    """Name a commit; the commit.

    Raises StoreError ("no-revision", "ref-taken", "ref-reserved", "bad-ref").
    """
    remote, ref = _parsed(name)
    history.refuse_ours(ref)
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
