"""Writing objects: first into quarantine, then, all at once and durably, into the repository.

The files are libostree's own for mode bare-user (`ostree-repo-commit.c`): content as it is (of a
symbolic link: its target and a NUL), owner, mode and attributes in the xattr `user.ostreemeta`,
permission bits masked by 0775, time stamp 0. They are written here and not through `OSTree.Repo`
for three reasons (2022.7): with fsync off it gives objects their names before their content is
safe (seen: an object survived an abort), with fsync on an aborted transaction is resumed by the
next one, as its source says (what a refused .deb left would become visible), and a call through
introspection costs three times what the writing does. Tests hold the files against libostree's,
byte by byte, and `ostree fsck` reads them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dolmen.model import Sha256
from dolmen.store import objects
from dolmen.store.failures import translated
from dolmen.store.objects import XATTR, Attributes, Objects
from dolmen.store.scratch import drop_scratch, make_scratch
from dolmen.store.syncing import sync_file_system as sync_file_system

if TYPE_CHECKING:
    from hashlib import _Hash

#: From this size on content is better streamed than held.
INLINE_LIMIT = 256 * 1024

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_LINK_MODE = stat.S_IFLNK | 0o777
# Content before what refers to it, so that a name stands for something whole at any moment.
_ORDER = ("file", "dirmeta", "dirtree", "commit")


class Transaction:
    """One transaction on the repository `path`, with its quarantine below `tmp`.

    Objects may be written from several threads. Nothing is visible before `finish`; `abort`, or
    the end of the process, drops everything. Methods raise StoreError ("store-full",
    "store-failed").
    """

    def __init__(self, path: Path, tmp: Path) -> None:
        self.path = path
        with translated("begin"):
            self._directory, self._fd = make_scratch(tmp)
        self.objects = Objects(path, self._directory)
        self._staging = os.fspath(self._directory)
        self._headers: dict[Attributes, tuple[_Hash, bytes]] = {}
        self._open = True

    def write_file(self, content: bytes, mode: int) -> Sha256:
        """A regular file of 0:0 (`mode`: permission bits); returns the object's checksum."""
        return self.write_owned(content, Attributes(stat.S_IFREG | mode))

    def write_owned(self, content: bytes, attributes: Attributes) -> Sha256:
        """A regular file with these attributes; returns the object's checksum."""
        header, attribute = self._header(attributes)
        digest = header.copy()
        digest.update(content)
        checksum = Sha256(digest.hexdigest())
        if not self.objects.has(checksum, "file"):
            with translated("write"), _once(), self._create(checksum, "file") as fd:
                _write(fd, content)
                _finish_file(fd, attribute, attributes.mode)
        return checksum

    def write_stream(self, pieces: Iterable[bytes], size: int, mode: int) -> Sha256:
        """A regular file of 0:0 whose `size` bytes come in pieces."""
        return self.stream_owned(pieces, size, Attributes(stat.S_IFREG | mode))

    def stream_owned(self, pieces: Iterable[bytes], size: int, attributes: Attributes) -> Sha256:
        """A regular file with these attributes, whose `size` bytes come in pieces."""
        header, attribute = self._header(attributes)
        digest = header.copy()
        temporary = f"{self._staging}/{secrets.token_hex(8)}"
        with translated("write"):
            fd = os.open(temporary, _FLAGS, 0o600)
            try:
                for piece in pieces:
                    digest.update(piece)
                    size -= len(piece)
                    _write(fd, piece)
                _finish_file(fd, attribute, attributes.mode)
                # Starts writing it out now, beside the decompression of the next, so that the
                # sync at the end finds less to do.
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
            if size:
                raise ValueError("the content has not the size that was announced")
            checksum = Sha256(digest.hexdigest())
            if self.objects.has(checksum, "file"):
                os.unlink(temporary)
            else:
                os.rename(temporary, self._staged(checksum, "file"))
        return checksum

    def write_symlink(self, target: str, uid: int = 0, gid: int = 0) -> Sha256:
        """A symbolic link; returns the object's checksum."""
        attributes = Attributes(_LINK_MODE, uid, gid)
        checksum = objects.digest(objects.full_header(attributes, target))
        if not self.objects.has(checksum, "file"):
            with translated("write"), _once(), self._create(checksum, "file") as fd:
                _write(fd, target.encode() + b"\0")  # as libostree writes it
                _finish_file(fd, attributes.encode(), 0o644)
        return checksum

    def write_metadata(self, kind: str, data: bytes) -> Sha256:
        """A dirtree, dirmeta or commit."""
        checksum = objects.digest(data)
        if not self.objects.has(checksum, kind):
            with translated("write"), _once(), self._create(checksum, kind) as fd:
                _write(fd, data)
                os.fchmod(fd, 0o644)
                os.utime(fd, (0, 0))
        return checksum

    def finish(self, refs: Iterable[tuple[str, str]] = ()) -> None:
        """Make all of it visible and durable: content, names, then refs.

        A ref that a power cut empties just now means that work is done again, not that
        something is missing: refs are validated where they are read.
        """
        with translated("commit"):
            sync_file_system(self.path)
            self._move()
            for name, commit in refs:
                _write_ref(self.path / "refs/heads" / name, commit)
            sync_file_system(self.path)
        self.abort()

    def abort(self) -> None:
        """Drop what was written and not finished; harmless when there is nothing."""
        if self._open:
            self._open = False
            with contextlib.suppress(OSError):
                drop_scratch(self._directory, self._fd)

    def _header(self, attributes: Attributes) -> tuple[_Hash, bytes]:
        found = self._headers.get(attributes)
        if found is None:
            found = (hashlib.sha256(objects.full_header(attributes)), attributes.encode())
            self._headers[attributes] = found
        return found

    def _staged(self, checksum: str, kind: str) -> str:
        return f"{self._staging}/{checksum}.{kind}"

    @contextlib.contextmanager
    def _create(self, checksum: str, kind: str) -> Iterator[int]:
        fd = os.open(self._staged(checksum, kind), _FLAGS, 0o600)
        try:
            yield fd
        finally:
            os.close(fd)

    def _move(self) -> None:
        staged = sorted(os.listdir(self._staging), key=lambda n: _ORDER.index(n.rpartition(".")[2]))
        target = os.fspath(self.path / "objects")
        made: set[str] = set()
        for name in staged:
            directory = f"{target}/{name[:2]}"
            if directory not in made:
                made.add(directory)
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o755)
            final = f"{directory}/{name[2:]}"
            # Another process may have been first; its inode may be linked into trees already.
            if not os.path.lexists(final):
                os.rename(f"{self._staging}/{name}", final)


def _once() -> contextlib.suppress:
    """Another thread may be writing the very object, found missing by both: one will do."""
    return contextlib.suppress(FileExistsError)


def _finish_file(fd: int, attribute: bytes, mode: int) -> None:
    # The attribute first: without write permission for the owner it could not be set any more.
    os.setxattr(fd, XATTR, attribute)
    os.fchmod(fd, mode & 0o775 | 0o400)
    os.utime(fd, (0, 0))


def _write(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def _write_ref(path: Path, commit: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    temporary.write_text(f"{commit}\n")
    temporary.rename(path)
