"""Images from elsewhere: whom to trust, whether a commit is theirs, and bringing it here.

A pull takes only the objects that are not here yet; static deltas come before it (`deltas`).
libostree checks every object against its name and every commit against the remote's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.repository import History, failure, told
from dolmen.store.sysroot.metadata import commit_variant
from dolmen.support.errors import ArchiveError, StoreError
from dolmen.support.files import sync_directory

_CHANGES = OSTree.RepoRemoteChange
_KINDS = {
    "file": OSTree.ObjectType.FILE,
    "dirtree": OSTree.ObjectType.DIR_TREE,
    "dirmeta": OSTree.ObjectType.DIR_META,
    "commit": OSTree.ObjectType.COMMIT,
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """How much came: `objects`, and `size`, the bytes that went over the network."""

    objects: int
    size: int


def trust(history: History, remote: str, url: str, key: bytes | None) -> None:
    """Remember a remote and the only keys that its commits may be signed with (None: any commit).

    Raises StoreError ("store-failed").
    """
    verify = GLib.Variant("s", "true" if key is not None else "false")
    options = {"gpg-verify": verify, "gpg-verify-summary": GLib.Variant("s", "false")}
    with told():
        history.repo.remote_change(
            None, _CHANGES.REPLACE, remote, url, GLib.Variant("a{sv}", options), None
        )
        # Keys of before would stay valid beside the new ones.
        keyring = history.path / f"{remote}.trustedkeys.gpg"
        if keyring.exists():
            keyring.unlink()
            sync_directory(history.path)
        if key is not None:
            stream = Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new(key))
            try:
                found = int(history.repo.remote_gpg_import(remote, stream, None, None)[1])
            except GLib.Error as error:
                raise _no_key(error.message) from None
            if not found:
                raise _no_key("it holds none")


def verify(history: History, remote: str, commit: bytes, detached: bytes) -> None:
    """Check the signatures of a commit object that is not here yet.

    Raises ArchiveError ("signature-missing", "signature-bad").
    """
    empty = GLib.Variant("a{sv}", {}).get_data_as_bytes()
    try:
        history.repo.signature_verify_commit_data(
            remote,
            GLib.Bytes.new(commit),
            GLib.Bytes.new(detached) if detached else empty,
            OSTree.RepoVerifyFlags.NONE,
        )
    except GLib.Error as error:
        raise _unsigned(error.message) from None


def has(history: History, checksum: str, kind: str) -> bool:
    """Whether an object is here; `kind`: "file", "dirtree", "dirmeta" or "commit"."""
    with told():
        return bool(history.repo.has_object(_KINDS[kind], checksum, None)[1])


def load(history: History, checksum: str, kind: str) -> bytes:
    """A metadata object that is here."""
    with told():
        found = history.repo.load_variant(_KINDS[kind], checksum)[1]
    return bytes(found.get_data_as_bytes().get_data() or b"")


def object_sizes(commit: bytes) -> dict[str, tuple[int, int]]:
    """File objects of a commit -> (bytes packed, bytes unpacked), where its maker has noted them
    (`ostree commit --generate-sizes`); else empty."""
    try:
        found = OSTree.commit_get_object_sizes(commit_variant(commit))
    except GLib.Error:
        return {}
    entries = found[-1] if isinstance(found, tuple) else found
    return {entry.checksum: (int(entry.archived), int(entry.unpacked)) for entry in entries}


def fetch(
    history: History,
    remote: str,
    ref: str,
    commit: str,
    *,
    only: Sequence[str] = (),
    progress: Callable[[int, int, int], None] | None = None,
) -> Fetched:
    """Bring a commit of a remote's ref here, with all it needs; REMOTE:REF names it then.

    `only`: directories of it, the rest stays away. `progress`: objects here, objects wanted, bytes
    so far. Raises ArchiveError ("signature-missing", "signature-bad", "remote-failed"), StoreError
    ("store-full", …).
    """
    options = {
        "flags": GLib.Variant("i", int(OSTree.RepoPullFlags.UNTRUSTED)),
        "refs": GLib.Variant("as", [ref]),
        "override-commit-ids": GLib.Variant("as", [commit]),
        "depth": GLib.Variant("i", 0),
        "n-network-retries": GLib.Variant("u", 3),
        "disable-static-deltas": GLib.Variant("b", True),
    }
    if only:
        options["subdirs"] = GLib.Variant("as", list(only))
    watch = OSTree.AsyncProgress.new()

    def moved(watched: OSTree.AsyncProgress, *_rest: object) -> None:
        if progress is not None:
            progress(*_figures(watched))

    watch.connect("changed", moved)
    try:
        history.repo.pull_with_options(remote, GLib.Variant("a{sv}", options), watch, None)
    except GLib.Error as error:
        raise _failed(error.message) from None
    done, _, size = _figures(watch)
    watch.finish()
    return Fetched(done, size)


def _figures(watch: OSTree.AsyncProgress) -> tuple[int, int, int]:
    return (
        int(watch.get_uint("fetched")),
        int(watch.get_uint("requested")),
        int(watch.get_uint64("bytes-transferred")),
    )


def _failed(message: str) -> ArchiveError | StoreError:
    if "GPG" in message or "signature" in message.lower():
        return _unsigned(message)
    known = failure(message)
    if known.reason in ("store-full", "store-read-only"):
        return known
    if "Corrupted" in message or "orrupted" in message:
        return ArchiveError(
            "what the server sent is not what its name says",
            reason="remote-corrupt",
            context=message[:300],
            hint="try again later; then tell whoever runs the server",
        )
    return ArchiveError(
        "the update cannot be fetched",
        reason="remote-failed",
        context=message[:300],
        hint="dolmen system upgrade --check",
    )


def _unsigned(message: str) -> ArchiveError:
    missing = "no signatures found" in message
    return ArchiveError(
        "the image is not signed" if missing else "the image's signature is not valid",
        reason="signature-missing" if missing else "signature-bad",
        context=" ".join(message.split())[:400],
        hint="tell whoever runs the server; where the key has changed: "
        "dolmen system rebase URL REF --key=FILE",
    )


def _no_key(message: str) -> ArchiveError:
    return ArchiveError(
        "the file of the key that updates are signed with holds no OpenPGP key",
        reason="bad-key",
        context=message[:300],
        hint="gpg --export KEY > FILE",
    )
