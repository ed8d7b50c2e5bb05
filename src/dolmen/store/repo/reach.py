"""What commits need: every object that can be reached from them, each read once."""

from __future__ import annotations

from dolmen.store.repo.commits import Commit, load
from dolmen.store.repo.repository import damaged
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dolmen.store.repo.repository import Repository


class Reach:
    """A growing set of objects, by kind; metadata that was read once is not read again.

    What a commit marked as partial lacks is no error.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.commits: set[str] = set()
        self.files: set[str] = set()
        self.dirtrees: set[str] = set()
        self.dirmetas: set[str] = set()

    def objects(self) -> set[tuple[str, str]]:
        """All of them: (checksum, kind)."""
        kinds = (
            ("commit", self.commits),
            ("file", self.files),
            ("dirtree", self.dirtrees),
            ("dirmeta", self.dirmetas),
        )
        return {(checksum, kind) for kind, found in kinds for checksum in found}

    def merge(self, other: Reach) -> None:
        """Take in what another has reached."""
        self.commits |= other.commits
        self.files |= other.files
        self.dirtrees |= other.dirtrees
        self.dirmetas |= other.dirmetas

    def history(self, checksum: str, depth: int, *, commits_only: bool = False) -> None:
        """A commit and `depth` parents (-1: all) as far as they are here."""
        here: str | None = checksum
        walked = set()
        while here is not None and here not in walked and self._repository.has(here, "commit"):
            walked.add(here)
            commit = self.commit(here, commits_only=commits_only)
            if depth == 0:
                break
            depth -= 1
            here = commit.parent

    def commit(self, checksum: str, *, commits_only: bool = False) -> Commit:
        """One commit with its tree; raises StoreError ("object-missing", "object-damaged")."""
        commit = load(self._repository, checksum)
        self.commits.add(checksum)
        if commits_only:
            return commit
        partial = bool(self._repository.state(checksum))
        self.dirmetas.add(commit.meta)
        self.tree(commit.tree, partial=partial)
        return commit

    def tree(self, checksum: str, *, partial: bool = False) -> None:
        """A directory with all that is below it."""
        if checksum in self.dirtrees:
            return
        waiting = [checksum]
        known, files, metas = self.dirtrees, self.files, self.dirmetas
        known.add(checksum)
        while waiting:
            here = waiting.pop()
            try:
                data = self._repository.read(here, "dirtree")
            except StoreError as error:
                if partial and error.reason == "object-missing":
                    # Another commit may need it whole: it is looked for again then.
                    known.discard(here)
                    continue
                raise
            try:
                found, below = checksums(data)
            except (ValueError, IndexError):
                raise damaged(here, "dirtree") from None
            files.update(found)
            for tree, meta in below:
                metas.add(meta)
                if tree not in known:
                    known.add(tree)
                    waiting.append(tree)


def checksums(data: bytes) -> tuple[list[str], list[tuple[str, str]]]:
    """The objects of a dirtree without their names; raises ValueError.

    Each item ends with its checksums and the offsets before them, so that names are skipped.
    """
    size = len(data)
    width = 1 if size < 256 else 2 if size < 65536 else 4 if size < 1 << 32 else 8
    limit = size - width
    middle = int.from_bytes(data[limit:], "little")
    if not 0 <= middle <= limit:
        raise ValueError("bad framing offset")
    files = []
    for end, width in _ends(data, 0, middle):
        files.append(data[end - width - 32 : end - width].hex())
    dirs = []
    for end, width in _ends(data, middle, limit):
        found = data[end - 2 * width - 64 : end - 2 * width].hex()
        dirs.append((found[:64], found[64:]))
    return files, dirs


def _ends(data: bytes, start: int, stop: int) -> list[tuple[int, int]]:
    """Where each item of an array ends, and how wide its own offsets are."""
    size = stop - start
    if not size:
        return []
    width = 1 if size < 256 else 2 if size < 65536 else 4 if size < 1 << 32 else 8
    body = int.from_bytes(data[stop - width : stop], "little")
    if body >= size or (size - body) % width:
        raise ValueError("bad framing offset")
    found = []
    before = start
    for place in range(start + body, stop, width):
        end = start + int.from_bytes(data[place : place + width], "little")
        if not before + 33 < end <= start + body:
            raise ValueError("bad framing offset")
        found.append((end, 1 if end - before < 256 else 2))
        before = end
    return found
