"""Repositories elsewhere: where they are, and what is fetched from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gi.repository import GLib, OSTree

from dolmen.store.history.describing import result_lines
from dolmen.store.history.repository import History, told
from dolmen.support.errors import StoreError, UsageError

_HERE = -100  # AT_FDCWD
_CHANGES = OSTree.RepoRemoteChange


def add_remote(
    history: History,
    name: str,
    url: str | None,
    *,
    options: Mapping[str, str],
    branches: Sequence[str] = (),
    keep: bool = False,
    replace: bool = False,
) -> None:
    """Remember a remote; `keep` one of this name that is there, or `replace` it.

    `options`: keys of its group (ostree.repo-config(5)). No `url`: it has a backend of its own.
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


def verification(words: Sequence[str]) -> dict[str, str]:
    """The options of a remote that `--sign-verify=TYPE=inline:KEY` or `TYPE=file:PATH` stand for.

    Raises UsageError ("usage").
    """
    found: dict[str, str] = {}
    types = []
    for word in words:
        kind, equals, rest = word.partition("=")
        place, colon, data = rest.partition(":")
        hint = "dolmen store remote add --help"
        if not equals:
            raise UsageError(f"Failed to parse KEYTYPE=[inline|file]:DATA in {word}", hint=hint)
        if not colon or place not in ("inline", "file"):
            raise UsageError(f"Invalid key reference {place}, expected inline|file", hint=hint)
        with told():
            types.append(OSTree.sign_get_by_name(kind).get_name())
        found[f"verification-{kind}-{'key' if place == 'inline' else 'file'}"] = data
    return {**found, "sign-verify": ",".join(types)} if types else {}


def remote_refs(history: History, remote: str, *, cache: Path | None = None) -> dict[str, str]:
    """The refs of a remote and their commits, sorted, as its summary has them."""
    with told():
        if cache is not None:
            history.repo.set_cache_dir(_HERE, str(cache), None)
        return dict(sorted(history.repo.remote_list_refs(remote, None)[1].items()))


def remote_summary(
    history: History, remote: str, *, cache: Path | None = None
) -> tuple[bytes, list[str]]:
    """A remote's summary as it came, checked, and what there is to say of its signatures.

    Raises StoreError ("no-summary", "store-failed").
    """
    with told():
        if cache is not None:
            history.repo.set_cache_dir(_HERE, str(cache), None)
        _, found, signatures = history.repo.remote_fetch_summary(remote, None)
        if found is None:
            raise StoreError(
                "Remote server has no summary file",
                reason="no-summary",
                hint="dolmen store summary --update, over there",
            )
        said: list[str] = []
        if signatures is not None and history.repo.remote_get_gpg_verify_summary(remote)[1]:
            said = result_lines(history.repo.verify_summary(remote, found, signatures, None))
    return bytes(found.get_data()), said
