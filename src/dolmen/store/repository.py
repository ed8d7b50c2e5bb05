"""The one place that talks to libostree through GObject introspection.

A `Repository` is one opened `OSTree.Repo` with at most one transaction; those who work side by
side open one each. libostree's own fsyncs are off (256 directories and every ref a time); instead
the file system is synced once before staged objects get their names and once after, so that a
name never stands for content that a power cut may take away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dolmen.model import Sha256
from dolmen.store import objects
from dolmen.store.objects import Objects
from dolmen.support.errors import StoreError

#: From this size on content goes through a stream object instead of one call.
INLINE_LIMIT = 64 * 1024


def _gi() -> Any:
    import gi

    gi.require_version("OSTree", "1.0")
    from gi.repository import Gio, GLib, OSTree

    return OSTree, Gio, GLib


class Repository:
    """An opened repository; content and metadata may be written from several threads."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._ostree, self._gio, self._glib = _gi()
        self.path = path
        self.objects = Objects(path)
        self._repo = self._ostree.Repo.new(self._gio.File.new_for_path(str(path)))
        with translated("open"):
            if create:
                self._repo.create(self._ostree.RepoMode.BARE_USER, None)
                config = self._repo.copy_config()
                # The default (3 %) refuses work on large, well filled disks; ENOSPC is told as is.
                config.set_string("core", "min-free-space-percent", "0")
                self._repo.write_config(config)
            else:
                self._repo.open(None)
        self._repo.set_disable_fsync(True)
        self._types = {
            kind: (number, self._glib.VariantType.new(text))
            for kind, number, text in (
                ("dirtree", self._ostree.ObjectType.DIR_TREE, objects.DIRTREE_TYPE),
                ("dirmeta", self._ostree.ObjectType.DIR_META, objects.DIRMETA_TYPE),
                ("commit", self._ostree.ObjectType.COMMIT, objects.COMMIT_TYPE),
            )
        }
        self._written: set[str] = set()
        # What this transaction wrote lies in a staging directory that only libostree knows.
        self._links: dict[str, str] = {}
        self._files: set[str] = set()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Start the transaction."""
        with translated("write"):
            self._repo.prepare_transaction(None)

    def finish(self, refs: Iterable[tuple[str, str]] = (), *, durable: bool = True) -> None:
        """Make all that was written visible and, unless told otherwise, durable; then set refs.

        A ref lost or emptied by a power cut right now means the work is done again, not that
        something is missing: refs are validated where they are read.
        """
        with translated("write"):
            if durable:
                sync_file_system(self.path)
            self._repo.commit_transaction(None)
            for name, checksum in refs:
                self._repo.set_ref_immediate(None, name, checksum, None)
            if durable:
                sync_file_system(self.path)

    def abort(self) -> None:
        """Drop the transaction and what it wrote."""
        with contextlib.suppress(self._glib.Error):
            self._repo.abort_transaction(None)

    def write_file(self, content: bytes, mode: int) -> Sha256:
        """A regular file of 0:0 (`mode`: permission bits); returns the object's checksum."""
        if len(content) >= INLINE_LIMIT:
            return self.write_stream((content,), len(content), mode)
        with translated("write"):
            checksum = Sha256(
                self._repo.write_regfile_inline(
                    None, 0, 0, stat.S_IFREG | mode, None, content, None
                )
            )
        self._files.add(checksum)
        return checksum

    def write_stream(self, pieces: Iterable[bytes], size: int, mode: int) -> Sha256:
        """A regular file whose `size` bytes come in pieces, each of them small enough to hold."""
        with translated("write"):
            writer = self._repo.write_regfile(None, 0, 0, stat.S_IFREG | mode, size, None)
            for piece in pieces:
                writer.write_all(piece, None)
            checksum = Sha256(writer.finish(None))
        self._files.add(checksum)
        return checksum

    def write_symlink(self, target: str) -> Sha256:
        """A symbolic link; returns the object's checksum."""
        with translated("write"):
            checksum = Sha256(self._repo.write_symlink(None, 0, 0, None, target, None))
        self._links[checksum] = target
        return checksum

    def link_target(self, checksum: str) -> str | None:
        """A symbolic link's target, None for a regular file; also of what is not committed yet."""
        if checksum in self._links:
            return self._links[checksum]
        try:
            mode = self.objects.mode(checksum)
        except StoreError:
            if checksum in self._files:
                return None
            raise
        return self.objects.read(checksum).decode() if stat.S_ISLNK(mode) else None

    def write_metadata(self, kind: str, data: bytes) -> Sha256:
        """A dirtree, dirmeta or commit; cheap when the object is there already."""
        checksum = objects.digest(data)
        key = f"{checksum}.{kind}"
        if key in self._written or self.objects.has(checksum, kind):
            return checksum
        number, variant_type = self._types[kind]
        variant = self._glib.Variant.new_from_bytes(variant_type, self._glib.Bytes.new(data), True)
        with translated("write"):
            self._repo.write_metadata(number, checksum, variant, None)
        with self._lock:
            self._written.add(key)
        return checksum

    def checkout(self, commit: str, destination: Path) -> None:
        """Hard-link a commit's tree, in user mode, to a directory that does not exist yet."""
        options = self._ostree.RepoCheckoutAtOptions()
        options.mode = self._ostree.RepoCheckoutMode.USER
        options.overwrite_mode = self._ostree.RepoCheckoutOverwriteMode.NONE
        with translated("checkout"):
            self._repo.checkout_at(options, -100, str(destination), commit, None)


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn libostree's and the system's complaints into StoreError."""
    from gi.repository import GLib

    try:
        yield
    except GLib.Error as error:
        raise _store_error(
            what, str(error.message), full="No space left" in error.message
        ) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise _store_error(what, str(error), full=full) from None


def _store_error(what: str, message: str, *, full: bool) -> StoreError:
    if full:
        return StoreError(
            "no space left on the store's file system",
            reason="store-full",
            context=message,
            hint="free space there, for example with: dolmen gc",
        )
    return StoreError(
        f"the store cannot be used ({what}): {message}",
        reason="store-failed",
        hint="dolmen doctor",
    )


def sync_file_system(path: Path) -> None:
    """syncfs(2): all of the file system that `path` is on."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(fd)
