"""Opening and making repositories, and libostree's errors in words of ours."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gi.repository import Gio, GLib, OSTree

from dolmen.store.history import settling
from dolmen.store.repo.repository import OURS, Repository
from dolmen.support.errors import StoreError
from dolmen.support.files import remove_tree, sync_directory
from dolmen.support.locking import locked

MODES = {
    "bare": OSTree.RepoMode.BARE,
    "bare-user": OSTree.RepoMode.BARE_USER,
    "bare-user-only": OSTree.RepoMode.BARE_USER_ONLY,
    "archive": OSTree.RepoMode.ARCHIVE,
    "archive-z2": OSTree.RepoMode.ARCHIVE,
}
#: What libostree says -> our reason. The first that is found counts.
_REASONS = (
    ("No space left", "store-full", "free space there, for example with: dolmen gc"),
    ("min-free-space", "store-full", "free space there, for example with: dolmen gc"),
    ("quota exceeded", "store-full", "free space there, for example with: dolmen gc"),
    ("Read-only file system", "store-read-only", "dolmen store --repo=DIR …"),
    ("Permission denied", "store-read-only", "dolmen store --repo=DIR …"),
    ("No such metadata object", "object-missing", "dolmen store fsck"),
    ("No such file object", "object-missing", "dolmen store fsck"),
    ("Corrupted", "object-damaged", "dolmen store fsck"),
    ("Invalid rev", "no-revision", "dolmen store refs"),
    ("Invalid ref", "no-revision", "dolmen store refs"),
    ("Refspec ", "no-revision", "dolmen store refs"),
    ("has no parent", "no-revision", "dolmen store log REF"),
    ("File exists", "path-exists", "dolmen store checkout --union COMMIT DIR"),
    ("Not a directory", "not-a-directory", "dolmen store ls -R COMMIT"),
)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn libostree's errors and the system's into StoreError, with libostree's own words."""
    try:
        yield
    except GLib.Error as error:
        raise failure(error.message) from None
    except RuntimeError as error:
        # PyGObject cannot convert an error whose text is not UTF-8; it is about a file's name then.
        if "Converting the GError failed" not in str(error):
            raise
        raise StoreError(
            "Invalid UTF-8 in filename: libostree keeps names in UTF-8 only",
            reason="bad-filename",
            hint="find DIR | LC_ALL=C.UTF-8 grep -axv '.*'",
        ) from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise failure(f"{error.strerror or error}{where}") from None


def failure(message: str) -> StoreError:
    """The error for what libostree said."""
    for words, reason, hint in _REASONS:
        if words in message:
            return StoreError(message, reason=reason, hint=hint)
    return StoreError(message, reason="store-failed", hint="dolmen store fsck")


class History:
    """A repository: `repo` is libostree's, `path` where it lies.

    `owner` is the Dolmen store that the repository is the heart of, or None: there, refs that keep
    images and packages are not to be moved by hand, and only `dolmen gc` collects.
    """

    def __init__(self, repo: OSTree.Repo, path: Path) -> None:
        self.repo = repo
        self.path = path
        self._stats: OSTree.RepoTransactionStats | None = None
        heart = path.name == "repo" and (path.parent / "format").is_file()
        self.owner = path.parent if heart else None

    @classmethod
    def open(cls, path: Path) -> History:
        """Open what is there.

        Raises StoreError ("no-repository", "store-read-only", "store-failed").
        """
        if not (path / "config").is_file():
            raise StoreError(
                f"there is no repository: {path}: No such file or directory",
                reason="no-repository",
                hint="dolmen store --repo=DIR init",
            )
        with told():
            repo = OSTree.Repo.new(Gio.File.new_for_path(os.fspath(path)))
            repo.open(None)
        return cls(repo, path.absolute())

    @classmethod
    def create(cls, path: Path, mode: str, *, collection: str | None = None) -> History:
        """Make a repository of one of MODES; one that is there stays as it is.

        Raises StoreError ("store-full", "store-read-only", "store-failed").
        """
        with told():
            path.mkdir(parents=True, exist_ok=True)
            repo = OSTree.Repo.new(Gio.File.new_for_path(os.fspath(path)))
            if collection is not None:
                repo.set_collection_id(collection)
            repo.create(MODES[mode], None)
            settling.sync(path, disabled=False)
            sync_directory(path.parent)
        return cls.open(path)

    @property
    def files(self) -> Repository:
        """The same repository as its files say it, which is the quick way to read."""
        return Repository(self.path)

    @property
    def mode(self) -> str:
        """The mode, as in the repository's config."""
        found = self.repo.get_mode()
        return next(name for name, value in MODES.items() if value == found)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory to work in, in libostree's own for that: it takes away what a kill leaves."""
        with told():
            (self.path / "tmp").mkdir(exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix="dolmen-", dir=self.path / "tmp"))
        try:
            yield work
        finally:
            remove_tree(work)

    @contextlib.contextmanager
    def changing(self) -> Iterator[OSTree.Repo]:
        """Hold what keeps the store's collectors away while something is written; then sync it."""
        with contextlib.ExitStack() as stack:
            if self.owner is not None:
                lock = self.owner / "locks" / "store"
                stack.enter_context(locked(lock, shared=True, what="the store"))
            stack.enter_context(told())
            settling.sweep(self.path)
            yield self.repo
            settling.sync(self.path, disabled=self.repo.get_disable_fsync())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[OSTree.Repo]:
        """One transaction: all of it or nothing."""
        with self.changing() as repo:
            repo.prepare_transaction(None)
            try:
                yield repo
                settling.name_staged(self.path, disabled=repo.get_disable_fsync())
                self._stats = repo.commit_transaction(None)[1]
            except BaseException:
                with contextlib.suppress(GLib.Error):
                    repo.abort_transaction(None)
                raise

    def counted(self) -> dict[str, int]:
        """What the last transaction wrote, under the names of `ostree commit --table-output`."""
        found = self._stats
        if found is None:
            return {}
        return {
            "Metadata Total": found.metadata_objects_total,
            "Metadata Written": found.metadata_objects_written,
            "Content Total": found.content_objects_total,
            "Content Written": found.content_objects_written,
            "Content Cache Hits": found.devino_cache_hits,
            "Content Bytes Written": found.content_bytes_written,
        }

    def refuse_ours(self, ref: str) -> None:
        """Raise StoreError ("ref-reserved") for a ref that keeps the store's own things."""
        if self.owner is not None and ref.split("/")[0] in OURS:
            raise StoreError(
                f"{ref} keeps an image or a package of the store",
                reason="ref-reserved",
                hint="dolmen gc",
            )

    def refuse_collecting(self) -> None:
        """Raise StoreError ("store-own") where Dolmen's own collector is the one to ask."""
        if self.owner is not None:
            raise StoreError(
                "this repository is the store's own: what it needs is known to its roots",
                reason="store-own",
                hint="dolmen gc",
            )
