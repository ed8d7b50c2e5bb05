"""What a package's tree has beyond the files of an image, and the tree made whole from both.

An image has nearly every file of its packages as it was shipped. What is left are directories,
members of control archives that dpkg does not keep, files that were changed or left out: some
kilobytes a package. An image that carries them can be built again, with other packages beside,
without its .debs.

Format: a line `dolmen-remainder 1 COMMIT`, then objects, each after a line
`KIND CHECKSUM MODE SIZE`: `file` with the mode in octal and with type bits (a symbolic link's
bytes are its target), `dirmeta`, `dirtree` and `commit` with mode 0. Sorted, not compressed: it is
part of reproducible images, and what carries those compresses.
"""

from __future__ import annotations

import stat
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dolmen.model import Sha256
from dolmen.store.objects import decode_commit
from dolmen.store.repo.contents import content, facts
from dolmen.store.repo.reach import Reach, checksums
from dolmen.store.repo.repository import Repository
from dolmen.store.transaction import Transaction
from dolmen.support.clock import monotonic
from dolmen.support.errors import StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseProgress, PhaseStarted

_HEAD = "dolmen-remainder 1"
_KINDS = ("dirmeta", "dirtree", "commit")


@dataclass(slots=True)
class _Parts:
    commit: str
    #: checksum -> (mode with type bits, content or target)
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    metadata: dict[tuple[str, str], bytes] = field(default_factory=dict)


def remainder(repository: Repository, commit: str, present: Container[str]) -> bytes:
    """All objects of a package tree but those files whose checksums are `present`.

    Raises StoreError ("object-missing", "object-damaged").
    """
    reach = Reach(repository)
    reach.commit(commit)
    pieces = [f"{_HEAD} {commit}\n".encode()]

    def add(kind: str, checksum: str, mode: int, data: bytes) -> None:
        pieces.append(f"{kind} {checksum} {mode:o} {len(data)}\n".encode() + data)

    for checksum in sorted(reach.files):
        if checksum not in present:
            mode, _uid, _gid, _size, target, _xattrs = facts(repository, checksum)
            whole = b"".join(content(repository, checksum)) if target is None else target.encode()
            add("file", checksum, mode, whole)
    for kind, found in zip(_KINDS, (reach.dirmetas, reach.dirtrees, reach.commits), strict=True):
        for checksum in sorted(found):
            add(kind, checksum, 0, repository.read(checksum, kind))
    return b"".join(pieces)


def restore(data: bytes, source: Repository, transaction: Transaction) -> Sha256 | None:
    """Write a package tree from its remainder and the files that `source` has.

    Every object is hashed. Returns its commit, or None where a file is not there or something is
    not what its name says: then the .deb is needed. Raises StoreError ("store-full", …).
    """
    try:
        parts = _parse(data)
        needed = _needed(parts)
    except (ValueError, IndexError):
        return None
    others = needed - parts.files.keys()
    if not all(source.has(checksum, "file") for checksum in others):
        return None
    for checksum, (mode, whole) in parts.files.items():
        if _write(transaction, mode, whole) != checksum:
            return None
    for checksum in sorted(others):
        if not transaction.objects.has(checksum, "file") and not _copy(
            source, checksum, transaction
        ):
            return None
    for (kind, checksum), whole in parts.metadata.items():
        if transaction.write_metadata(kind, whole) != checksum:
            return None
    return Sha256(parts.commit)


def restore_all(
    transaction: Transaction,
    remainders: Iterable[tuple[Sha256, bytes]],
    source: Path,
    *,
    emit: Emit,
) -> int:
    """Restore packages by their .debs' digests, in one transaction; returns how many."""
    repository = Repository(source)
    started = monotonic()
    emit(PhaseStarted(Phase.IMPORT))
    refs: list[tuple[str, str]] = []
    try:
        for sha256, data in remainders:
            commit = restore(data, repository, transaction)
            if commit is not None:
                refs.append((f"deb/{sha256}", commit))
                emit(PhaseProgress(Phase.IMPORT, len(refs)))
        if refs:
            transaction.finish(refs)
    finally:
        transaction.abort()
    emit(PhaseFinished(Phase.IMPORT, len(refs), monotonic() - started))
    return len(refs)


def _parse(data: bytes) -> _Parts:
    end = data.index(b"\n")
    head, _, commit = data[:end].decode("ascii").rpartition(" ")
    if head != _HEAD:
        raise ValueError("no remainder of a package")
    parts = _Parts(commit)
    place = end + 1
    while place < len(data):
        end = data.index(b"\n", place)
        kind, checksum, mode, size = data[place:end].decode("ascii").split(" ")
        place = end + 1 + int(size)
        whole = data[end + 1 : place]
        if len(whole) != int(size):
            raise ValueError("the remainder ends early")
        if kind == "file":
            parts.files[checksum] = (int(mode, 8), whole)
        elif kind in _KINDS:
            parts.metadata[kind, checksum] = whole
        else:
            raise ValueError("an object of an unknown kind")
    return parts


def _needed(parts: _Parts) -> set[str]:
    """The files of all directories; raises ValueError where a directory is not there."""
    files: set[str] = set()
    if ("commit", parts.commit) not in parts.metadata:
        raise ValueError("there is no commit")
    top = decode_commit(parts.metadata["commit", parts.commit])
    if ("dirtree", top.tree) not in parts.metadata or ("dirmeta", top.meta) not in parts.metadata:
        raise ValueError("the top is not there")
    for (kind, _), whole in parts.metadata.items():
        if kind == "dirtree":
            found, below = checksums(whole)
            files.update(found)
            for tree, meta in below:
                if ("dirtree", tree) not in parts.metadata or (
                    ("dirmeta", meta) not in parts.metadata
                ):
                    raise ValueError("a directory is not there")
    return files


def _write(transaction: Transaction, mode: int, whole: bytes) -> str:
    if stat.S_ISLNK(mode):
        return transaction.write_symlink(whole.decode("utf-8", "surrogateescape"))
    return transaction.write_file(whole, stat.S_IMODE(mode))


def _copy(source: Repository, checksum: str, transaction: Transaction) -> bool:
    try:
        mode, uid, gid, size, target, _xattrs = facts(source, checksum)
        if uid or gid:
            return False
        if target is not None:
            return transaction.write_symlink(target) == checksum
        pieces = content(source, checksum)
        return transaction.write_stream(pieces, size, stat.S_IMODE(mode)) == checksum
    except StoreError as error:
        if error.reason in ("object-missing", "object-damaged"):
            return False
        raise
    except ValueError:  # a file that has not the size it had just now
        return False
