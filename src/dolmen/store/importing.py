"""Import of one .deb: a stream in, objects and one commit out, nothing written by name."""

from __future__ import annotations

import hashlib
import os
import posixpath
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dolmen.model import LockedPackage, Sha256
from dolmen.store import objects
from dolmen.store.control import LIMIT as CONTROL_LIMIT
from dolmen.store.control import Control, check_identity, read_control
from dolmen.store.deb import Container, bad
from dolmen.store.package import ALIASED, PackageTree, PathEntry, render_index, usrmerged
from dolmen.store.tar import TarEntry, TarReader
from dolmen.store.transaction import INLINE_LIMIT, Transaction
from dolmen.store.tree import Directory
from dolmen.support.errors import PackageError, StoreError

if TYPE_CHECKING:
    from hashlib import _Hash

#: How far a .deb may unpack beyond its Installed-Size (which is rounded, and wrong now and then).
_FACTOR = 4
#: The same in terms of the .deb's own size, for those that declare nothing; bombs reach 6000.
_RATIO = 50
_SLACK = 16 << 20
_CAP = 64 << 30
_MAX_ENTRIES = 1_000_000
_KEPT_XATTRS = frozenset({"security.capability"})
#: Top-level names that are directories on every system; a link in their place would redirect
#: what other packages ship below them.
_DIRECTORIES = frozenset(
    {
        *("boot", "dev", "etc", "home", "media", "mnt", "opt", "proc"),
        *("root", "run", "srv", "sys", "tmp", "usr", "var"),
    }
)


def import_deb(
    transaction: Transaction,
    path: Path,
    package: LockedPackage,
    *,
    stop: threading.Event | None = None,
) -> Sha256:
    """Write the package tree of `path` into the open transaction; returns the commit.

    Raises PackageError with a reason of `deb`, `tar`, `control`, or "hash-mismatch",
    "not-as-locked", "unsafe-path", "too-large"; the caller must abort the transaction then.
    `stop`, once set, ends it early with a StoreError ("interrupted").
    """
    try:
        return _Import(transaction, package, stop).run(path)
    except PackageError as error:
        raise PackageError(
            f"{package.name} {package.version} is refused: {error.message}",
            reason=error.reason,
            context=str(path),
            hint="fetch it again from a mirror that you trust: dolmen sync",
        ) from None


class _Import:
    def __init__(
        self, transaction: Transaction, package: LockedPackage, stop: threading.Event | None
    ) -> None:
        self._stop = stop
        self._transaction = transaction
        self._package = package
        self._root = Directory(transaction.objects)
        self._data = self._root.directory("data")
        self._paths: list[PathEntry] = []
        self._skipped: list[str] = []
        # By the name in the archive: what hard links may point at.
        self._files: dict[str, PathEntry] = {}
        self._kinds: dict[str, str] = {"": "d"}
        self._md5s: dict[str, str] = {}
        self._conffiles: frozenset[str] = frozenset()
        self._all_md5s = False

    def run(self, path: Path) -> Sha256:
        size = os.stat(path).st_size
        if size != self._package.size:
            raise bad(f"it has {size} bytes, the lock says {self._package.size}", "hash-mismatch")
        with open(path, "rb") as stream:
            container = Container(stream)
            for name, pieces in container.tarballs():
                if name == "control":
                    control = read_control(TarReader(pieces, limit=2 * CONTROL_LIMIT))
                    check_identity(control.fields, self._package)
                    self._conffiles = frozenset(control.conffiles())
                    self._all_md5s = "md5sums" not in control.members
                else:
                    declared = control.installed_size * 1024 * _FACTOR
                    limit = min(max(declared, size * _RATIO) + _SLACK, _CAP)
                    self._read_data(TarReader(pieces, limit=limit), limit)
        if container.digest() != self._package.sha256:
            raise bad("its SHA-256 is not the one of the lock", "hash-mismatch")
        return self._commit(control)

    def _read_data(self, reader: TarReader, limit: int) -> None:
        for count, entry in enumerate(reader):
            if self._stop is not None and self._stop.is_set():
                raise StoreError("the import was interrupted", reason="interrupted")
            if count >= _MAX_ENTRIES:
                raise bad("it has more than a million entries", "too-large")
            if entry.size > limit:
                raise bad(f"its file {entry.path[:80]!r} is larger than declared", "too-large")
            self._parent(entry.path)
            if entry.kind == "d":
                self._directory(entry)
            elif entry.path in self._kinds:
                raise bad(f"it has {entry.path[:80]!r} twice", "unsafe-path")
            elif entry.kind == "f":
                self._file(entry, reader)
            elif entry.kind == "l":
                self._symlink(entry)
            elif entry.kind == "h":
                self._hard_link(entry)
            else:
                self._kinds[entry.path] = entry.kind
                self._skipped.append(f"/{entry.path}")

    def _parent(self, path: str) -> None:
        """All that is above a member must be directories; those not shipped are made."""
        parent = path.rpartition("/")[0]
        kind = self._kinds.get(parent)
        if kind is None:
            self._parent(parent)
            self._kinds[parent] = "d"
            self._make(parent, 0o755)
        elif kind != "d":
            raise bad(f"{path[:80]!r} lies below {parent[:80]!r}, no directory", "unsafe-path")

    def _make(self, path: str, mode: int) -> None:
        try:
            self._data.directory(usrmerged(path)).set_mode(mode)
        except NotADirectoryError:
            raise _collision(path) from None

    def _directory(self, entry: TarEntry) -> None:
        known = self._kinds.get(entry.path)
        if known not in (None, "d"):
            raise bad(f"it has {entry.path[:80]!r} as two things", "unsafe-path")
        self._kinds[entry.path] = "d"
        # Setgid and sticky mean something on directories; only sticky does without groups.
        self._make(entry.path, entry.mode & 0o1777)
        self._note(entry, "")

    def _file(self, entry: TarEntry, reader: TarReader) -> None:
        mode = entry.mode & 0o777
        # All of etc, because a conffile may be a link to a file that is none.
        wanted = self._all_md5s or (
            bool(self._conffiles)
            and (entry.path.startswith("etc/") or f"/{entry.path}" in self._conffiles)
        )
        if entry.size < INLINE_LIMIT:
            content = reader.whole()
            checksum = self._transaction.write_file(content, mode)
            if wanted:
                self._md5s[entry.path] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        else:
            md5 = hashlib.md5(usedforsecurity=False)
            pieces = reader.content()
            checksum = self._transaction.write_stream(
                _hashed(pieces, md5) if wanted else pieces, entry.size, mode
            )
            if wanted:
                self._md5s[entry.path] = md5.hexdigest()
        self._place(entry.path, checksum)
        self._files[entry.path] = self._note(entry, checksum)

    def _symlink(self, entry: TarEntry) -> None:
        if entry.path in _DIRECTORIES:
            raise bad(f"it replaces /{entry.path} by a link", "unsafe-path")
        checksum = self._transaction.write_symlink(entry.target)
        if entry.path in ALIASED:
            if entry.target.removeprefix("/") != f"usr/{entry.path}":
                raise bad(f"it redirects /{entry.path}", "unsafe-path")
            self._kinds[entry.path] = "l"
            self._data.place(entry.path, checksum)
        else:
            self._place(entry.path, checksum)
        self._note(entry, checksum)

    def _hard_link(self, entry: TarEntry) -> None:
        target = self._files.get(entry.target)
        if target is None:
            raise bad(
                f"the hard link {entry.path[:80]!r} points at {entry.target[:80]!r}, which is no "
                "file before it",
                "unsafe-path",
            )
        self._place(entry.path, Sha256(target.digest))
        if entry.target in self._md5s:
            self._md5s[entry.path] = self._md5s[entry.target]
        self._note(entry, target.digest, size=target.size)

    def _place(self, path: str, checksum: Sha256) -> None:
        self._kinds[path] = "f"
        merged = usrmerged(path)
        there = self._data.find(merged)
        if there is not None and there != checksum:
            # "bin/x" and "usr/bin/x" in one package.
            raise _collision(path)
        try:
            self._data.place(merged, checksum)
        except NotADirectoryError:
            raise _collision(path) from None

    def _note(self, entry: TarEntry, digest: str, *, size: int | None = None) -> PathEntry:
        noted = PathEntry(
            path=f"/{entry.path or '.'}",
            kind=entry.kind,
            target=f"/{entry.target}" if entry.kind == "h" else entry.target,
            mode=entry.mode,
            digest=digest,
            size=entry.size if size is None else size,
            uname=entry.uname or str(entry.uid),
            gname=entry.gname or str(entry.gid),
            xattrs=tuple(x for x in entry.xattrs if x[0] in _KEPT_XATTRS),
        )
        self._paths.append(noted)
        return noted

    def _commit(self, control: Control) -> Sha256:
        transaction = self._transaction
        conffiles = self._conffile_md5s(control)
        members = dict(control.members)
        if self._all_md5s:
            members["md5sums"] = (self._md5sums(), 0o644)
        written: dict[str, Sha256] = {}
        for name, (content, mode) in members.items():
            written[name] = transaction.write_file(content, mode)
            self._root.place(f"control/{name}", written[name])
        del written["control"]
        listing = transaction.write_file(self._list(), 0o644)
        self._root.place("list", listing)
        tree = PackageTree(
            sha256=self._package.sha256,
            control=control.text,
            members=written,
            paths=tuple(self._paths),
            conffiles=conffiles,
            list_object=listing,
            skipped=tuple(self._skipped),
        )
        self._root.place("index.json", transaction.write_file(render_index(tree), 0o644))
        subject = f"{self._package.name} {self._package.version} {self._package.architecture}"
        return transaction.write_metadata(
            "commit", objects.encode_commit(*self._root.write(transaction), subject=subject)
        )

    def _list(self) -> bytes:
        lines = [entry.path for entry in self._paths]
        if "/." not in lines:
            lines.insert(0, "/.")
        return "".join(f"{line}\n" for line in lines).encode()

    def _md5sums(self) -> bytes:
        """As dpkg makes it: without conffiles, in the archive's order."""
        return "".join(
            f"{self._md5s[name]}  {name}\n"
            for name in (entry.path[1:] for entry in self._paths)
            if name in self._md5s and f"/{name}" not in self._conffiles
        ).encode()

    def _conffile_md5s(self, control: Control) -> dict[str, str]:
        links = {entry.path: entry.target for entry in self._paths if entry.kind == "l"}
        found: dict[str, str] = {}
        for path in control.conffiles():
            real = path
            for _ in range(25):  # dpkg follows links of conffiles, and gives up after 25
                if real not in links:
                    break
                real = posixpath.normpath(posixpath.join(posixpath.dirname(real), links[real]))
            if real[1:] in self._md5s:
                found[path] = self._md5s[real[1:]]
        return found


def _hashed(pieces: Iterator[bytes], digest: _Hash) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _collision(path: str) -> PackageError:
    return bad(f"{path[:80]!r} collides with another of its names below /usr", "unsafe-path")
