"""The summary: the list of refs that those who pull from a repository read first."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gi.repository import GLib, OSTree

from dolmen.store.history.recording import record, write_dirmeta, write_dirtree
from dolmen.store.history.repository import History, told
from dolmen.store.repo.refs import lookup
from dolmen.support.errors import UsageError

#: The ref whose commits carry what the summary says, in repositories with a collection.
_METADATA_REF = "ostree-metadata"


@dataclass(frozen=True, slots=True)
class Signers:
    """Who signs: OpenPGP keys (of `gpg_home`), and secret keys of another scheme of libostree's."""

    gpg_keys: Sequence[str] = ()
    gpg_home: str | None = None
    keys: Sequence[str] = field(default=(), repr=False)
    key_type: str = "ed25519"


def write_summary(
    history: History, metadata: Mapping[str, str] | None = None, signers: Signers | None = None
) -> None:
    """Write the summary anew; `metadata`: values in GVariant's text, by key.

    A repository of a collection gets a commit of ostree-metadata as well, which says the same.
    Raises UsageError for a value that is none, StoreError ("store-failed").
    """
    who = signers or Signers()
    more = {key: _parsed(words) for key, words in (metadata or {}).items()}
    with history.changing() as repo:
        scheme = None
        if who.keys:
            scheme = OSTree.sign_get_by_name(who.key_type)
        if history.files.collection is not None:
            _commit(history, more, who, scheme)
        repo.regenerate_summary(GLib.Variant("a{sv}", more) if more else None, None)
        if who.gpg_keys:
            repo.add_gpg_signature_summary(list(who.gpg_keys), who.gpg_home, None)
        if scheme is not None:
            keys = GLib.Variant("av", [GLib.Variant("s", key) for key in who.keys])
            scheme.summary(repo, keys, None)


def _commit(history: History, more: Mapping[str, Any], who: Signers, scheme: Any) -> None:
    repo = history.repo
    repo.prepare_transaction(None)
    try:
        meta = write_dirmeta(history, 0, 0, stat.S_IFDIR | 0o755)
        checksum = record(
            history,
            (write_dirtree(history, {}, {}), meta),
            branch=_METADATA_REF,
            parent=lookup(history.files, _METADATA_REF),
            metadata=more,
        )
        for key in who.gpg_keys:
            repo.sign_commit(checksum, key, who.gpg_home, None)
        for key in who.keys:
            scheme.set_sk(GLib.Variant("s", key))
            scheme.commit(repo, checksum, None)
        repo.commit_transaction(None)
    except BaseException:
        repo.abort_transaction(None)
        raise


def _parsed(words: str) -> Any:
    with told():
        try:
            return GLib.Variant.parse(None, words, None, None)
        except GLib.Error as error:
            raise UsageError(
                f"Error parsing variant '{words}': {error.message}",
                hint="dolmen store summary --update -m KEY=\"'VALUE'\"",
            ) from None
