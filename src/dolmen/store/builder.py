"""Composing trees from package trees, commits and single files, by names and checksums only."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from dolmen.model import Sha256
from dolmen.store import objects
from dolmen.store.checkout import Wanted, checkout
from dolmen.store.failures import translated
from dolmen.store.image import Image
from dolmen.store.objects import Attributes
from dolmen.store.package import PackageTree
from dolmen.store.transaction import Transaction
from dolmen.store.tree import Directory
from dolmen.support.errors import PackageError, StoreError


class TreeBuilder:
    """A tree in the making, inside one transaction; leaving without `commit` drops it.

    Paths are those of the tree ("usr/bin/x", a leading slash is allowed). Unless somebody says
    otherwise (`give`, `owners` of `apply_upper`), owners are 0:0, there are no extended attributes,
    and setuid and setgid bits are cleared.
    """

    _transaction: Transaction
    _root: Directory
    _exit: contextlib.ExitStack

    def __init__(
        self,
        transaction: Callable[[], Transaction],
        package: Callable[[Sha256], PackageTree],
        guard: AbstractContextManager[None],
    ) -> None:
        self._begin = transaction
        self._package = package
        # Held from the first object to the last ref, so that nobody collects what is half named.
        self._guard = guard
        self._open = False
        self._kept: list[tuple[str, Sha256]] = []

    @property
    def objects(self) -> objects.Objects:
        """Reads what the tree is made of, also what only this transaction has so far."""
        return self._transaction.objects

    def __enter__(self) -> TreeBuilder:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._guard)
            self._transaction = self._begin()
            self._root = Directory(self._transaction.objects)
            self._open = True
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._exit:
            if self._open:
                self._transaction.abort()
                self._open = False

    def merge_package(
        self,
        sha256: Sha256,
        *,
        skip: Collection[str] = (),
        renames: Mapping[str, str] = {},
    ) -> None:
        """Add the files of an imported package; `skip` and `renames` are by usrmerged path.

        A directory that is there keeps its mode, as with dpkg; a symbolic link that meets a
        directory gives way to it, a directory that meets a link to a directory goes through it.
        Raises PackageError ("file-conflict") when another file is in the way.
        """
        tree, meta = self._package(sha256).data
        source = Directory(self._transaction.objects, tree=tree, meta=meta)
        for path in skip:
            source.remove(_clean(path))
        moved = [(_clean(new), source.find(_clean(old))) for old, new in renames.items()]
        for path in renames:
            source.remove(_clean(path))
        for new, entry in moved:
            if entry is not None:
                source.place(new, entry)
        self._merge(source)

    def merge_commit(self, commit: Sha256) -> None:
        """Add the whole tree of a commit; onto an empty builder this takes it as it is."""
        found = self._transaction.objects.commit(commit)
        self.merge_tree(found.tree, found.meta)

    def merge_tree(self, tree: Sha256, meta: Sha256) -> None:
        """The same for a tree that is known by its dirtree and its dirmeta."""
        source = Directory(self._transaction.objects, tree=tree, meta=meta)
        if not self._root.unread and not self._root.files and not self._root.dirs:
            self._root = source
        else:
            self._merge(source)

    def add_file(self, path: str, content: bytes, *, mode: int = 0o644) -> Sha256:
        """Write a regular file, replacing what was there; returns its object."""
        checksum = self._transaction.write_file(content, mode & 0o777)
        self._place(path, checksum)
        return checksum

    def link(self, path: str, checksum: Sha256) -> None:
        """Put an existing file object at `path`, replacing what was there."""
        self._place(path, checksum)

    def add_symlink(self, path: str, target: str) -> None:
        """Put a symbolic link at `path`, replacing what was there."""
        self._place(path, self._transaction.write_symlink(target))

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        """Make a directory, with its parents, or change its mode."""
        with _not_through_files(path):
            self._root.directory(_clean(path)).set_mode(mode & 0o1777)

    def remove(self, path: str) -> bool:
        """Take away a path with all below it; False when it was not there."""
        return self._root.remove(_clean(path))

    def move(self, old: str, new: str) -> bool:
        """Take what is at `old` to `new`, replacing what was there; False when there is nothing."""
        found = self._root.find(_clean(old))
        if found is None:
            return False
        self._root.remove(_clean(old))
        with _not_through_files(new):
            self._root.place(_clean(new), found)
        return True

    def give(
        self, path: str, mode: int, uid: int, gid: int, xattrs: tuple[tuple[str, bytes], ...] = ()
    ) -> bool:
        """Change owner and permission bits (all twelve) of what is there; a link keeps its mode.

        Extended attributes are for files only. False when there is nothing at `path`.
        """
        found = self._root.find(_clean(path))
        if found is None:
            return False
        if isinstance(found, Directory):
            found.set_attributes(mode, uid, gid)
            return True
        transaction = self._transaction
        content = transaction.objects.read(found)
        if transaction.objects.link_target(found) is not None:
            link = content.removesuffix(b"\0").decode()
            self._place(path, transaction.write_symlink(link, uid, gid))
        else:
            attributes = Attributes(stat.S_IFREG | mode, uid, gid, tuple(sorted(xattrs)))
            self._place(path, transaction.write_owned(content, attributes))
        return True

    def attributes(self, path: str) -> Attributes | None:
        """Mode and owner of what is at `path`, None where there is nothing."""
        found = self._root.find(_clean(path))
        if isinstance(found, Directory):
            return found.attributes()
        return None if found is None else self._transaction.objects.attributes(found)

    def read(self, path: str) -> bytes | None:
        """The content of the regular file at `path`, None for anything else."""
        found = self.find(path)
        if found is None or self.link_target(found) is not None:
            return None
        return self._transaction.objects.read(found)

    def walk(self, path: str = "") -> Iterator[tuple[str, Attributes]]:
        """Everything below a directory, sorted, a directory before what it holds."""
        root = self._root.find(_clean(path)) if _clean(path) else self._root
        if isinstance(root, Directory):
            prefix = f"{_clean(path)}/" if _clean(path) else ""
            for name, found in root.walk(prefix):
                if isinstance(found, Directory):
                    yield name, found.attributes()
                else:
                    yield name, self._transaction.objects.attributes(found)

    def files(self, path: str = "") -> Iterator[tuple[str, Sha256]]:
        """Files and symbolic links below a directory, sorted, with their objects."""
        root = self._root.find(_clean(path)) if _clean(path) else self._root
        if isinstance(root, Directory):
            prefix = f"{_clean(path)}/" if _clean(path) else ""
            for name, found in root.walk(prefix):
                if not isinstance(found, Directory):
                    yield name, found

    def names(self, path: str = "") -> list[str]:
        """The names directly below a directory, sorted; none where there is no directory."""
        found = self._root.find(_clean(path)) if _clean(path) else self._root
        return sorted((*found.files, *found.dirs)) if isinstance(found, Directory) else []

    def find(self, path: str) -> Sha256 | None:
        """The object of the file or symbolic link at `path`; None for directories and nothing."""
        found = self._root.find(_clean(path))
        return None if isinstance(found, Directory) else found

    def link_target(self, checksum: str) -> str | None:
        """The target of a symbolic link's object, None for a regular file's; also new ones."""
        return self._transaction.objects.link_target(checksum)

    def has_directory(self, path: str) -> bool:
        """Whether `path` is a directory, not through symbolic links."""
        return isinstance(self._root.find(_clean(path)), Directory)

    def apply_upper(
        self,
        upper: Path,
        *,
        drop: Callable[[str], bool] = lambda _path: False,
        owners: Mapping[str, Attributes] | None = None,
    ) -> None:
        """Lay an overlay's upper directory (userxattr or not) over the tree.

        Whiteouts remove, opaque directories replace, sockets and fifos are passed over, files
        that are links to one inode are read once. `drop(path)`: paths (with a leading slash) that
        the tree shall not have, if the overlay changed them; directories with all below them.
        `owners`: what is true of paths (with a leading slash) instead of what is on the disk.
        """
        from dolmen.store.upper import apply_upper

        apply_upper(self._transaction, self._root, upper, drop, owners)

    def keep(self, ref: str, files: Mapping[str, bytes]) -> None:
        """Commit a small tree of its own beside this one; both become visible with `commit`."""
        root = Directory(self._transaction.objects)
        for path, content in files.items():
            root.place(_clean(path), self._transaction.write_file(content, 0o644))
        tree, meta = root.write(self._transaction)
        commit = self._transaction.write_metadata("commit", objects.encode_commit(tree, meta))
        self._kept.append((ref, commit))

    def checkout(
        self, destination: Path, *, wanted: Wanted | None = None, without: Collection[str] = ()
    ) -> None:
        """The tree as it is now, as hard links, without making anything visible in the store.

        Time stamps are 0. `destination` must not exist; it stays usable after `commit`, too.
        `wanted` takes what links cannot have (see `store.checkout`); what is at the paths
        `without` is left out.
        """
        tree, meta = self._root.write(self._transaction)
        if without:
            part = Directory(self._transaction.objects, tree=tree, meta=meta)
            for path in without:
                part.remove(_clean(path))
            tree, meta = part.write(self._transaction)
        with translated("checkout"):
            checkout(self._transaction.objects, tree, meta, destination, wanted=wanted)

    def commit(
        self,
        ref: str | None = None,
        *,
        metadata: Mapping[str, str | int | bool] | None = None,
        subject: str = "",
        timestamp: int = 0,
    ) -> Image:
        """Store the tree durably; no parent, no bindings. Ends the transaction.

        `metadata`: the commit's, strings, booleans or 64-bit numbers by key; `timestamp`: seconds.
        """
        if not self._open:
            raise StoreError("the tree was committed already", reason="internal")
        tree, meta = self._root.write(self._transaction)
        if metadata or timestamp:
            from dolmen.store.commits import encode_full_commit

            data = encode_full_commit(tree, meta, metadata or {}, subject, timestamp)
        else:
            data = objects.encode_commit(tree, meta, subject=subject)
        commit = self._transaction.write_metadata("commit", data)
        refs = [*self._kept, *([(ref, commit)] if ref else [])]
        self._transaction.finish(refs)
        self._open = False
        return Image(objects.root_checksum(tree, meta), commit)

    def _place(self, path: str, checksum: Sha256) -> None:
        with _not_through_files(path):
            self._root.place(_clean(path), checksum)

    def _merge(self, source: Directory) -> None:
        from dolmen.store.merge import merge

        conflicts = merge(self._root, source, self._transaction.objects)
        if conflicts:
            raise PackageError(
                f"{len(conflicts)} files of two packages are in each other's way: {conflicts[0]}",
                reason="file-conflict",
                details=conflicts[:20],
                hint="leave one of the packages out: dolmen remove NAME",
            )


class _not_through_files:  # noqa: N801 (a context manager, used like a function)
    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, NotADirectoryError):
            raise StoreError(
                f"{self._path} lies below something that is no directory", reason="not-a-directory"
            ) from None


def _clean(path: str) -> str:
    return path.strip("/")
