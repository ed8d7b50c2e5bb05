"""What libostree says of a commit's GPG signatures."""

from __future__ import annotations

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history.repository import History, told

_FORMAT = OSTree.GpgSignatureFormatFlags.GPG_SIGNATURE_FORMAT_DEFAULT


def describe_signatures(
    history: History, checksum: str, *, homedir: str | None = None, remote: str | None = None
) -> list[str]:
    """As `ostree show` prints them: a line with their number, then each one's description.

    `homedir`: where the keys are; `remote`: the remote whose keys count. No lines where there is
    no signature. Raises StoreError ("store-failed").
    """
    with told():
        try:
            if remote is not None:
                found = history.repo.verify_commit_for_remote(checksum, remote, None)
            else:
                keys = None if homedir is None else Gio.File.new_for_path(homedir)
                found = history.repo.verify_commit_ext(checksum, keys, None, None)
        except GLib.Error as error:
            if error.matches(OSTree.GpgError.quark(), OSTree.GpgError.NO_SIGNATURE):
                return []
            raise
    count, said = found.count_all(), _described(found)
    return [f"Found {count} signature{'' if count == 1 else 's'}:", *said]


def result_lines(found: OSTree.GpgVerifyResult) -> list[str]:
    """What libostree found of signatures, as `ostree remote summary` prints it."""
    count = found.count_all()
    said = _described(found)
    return [
        f"GPG: Verification enabled, found {count} signature{'' if count == 1 else 's'}:",
        *said,
    ]


def _described(found: OSTree.GpgVerifyResult) -> list[str]:
    buffer = GLib.String.new("")
    for number in range(found.count_all()):
        buffer.append_c(ord("\n"))
        found.describe(number, buffer, "  ", _FORMAT)
    return str(buffer.str).removesuffix("\n").split("\n")
