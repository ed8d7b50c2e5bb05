"""Commits: what they say, how they are named, and which came before."""

from __future__ import annotations

from dolmen.store.repo import refs
from dolmen.store.repo.repository import damaged
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dolmen.store.repo.repository import Repository

TYPE = "(a{sv}aya(say)sstayay)"
_HINT = "dolmen store refs"
#: What may follow a name: nothing of it can be part of a ref.
_MARKS = "^~@"
#: `@{1000}` counts commits, `@{20240131}` is a date.
_COUNT_DIGITS = 6


class Commit:
    """What a commit says; `timestamp` in seconds of UTC, `content` as ContentChecksum."""

    __slots__ = (
        "body",
        "checksum",
        "data",
        "meta",
        "metadata_end",
        "parent",
        "subject",
        "timestamp",
        "tree",
    )

    def __init__(self, checksum: str, data: bytes) -> None:
        """Read a commit's bytes; raises StoreError ("object-damaged")."""
        self.checksum = checksum
        self.data = data
        try:
            self._read(data)
        except (ValueError, IndexError):
            raise damaged(checksum, "commit") from None

    def _read(self, data: bytes) -> None:
        # Every commit of `log` comes through here: the general reader takes four times as long.
        size = len(data)
        width = 1 if size < 256 else 2 if size < 65536 else 4 if size < 1 << 32 else 8
        limit = size - 6 * width
        first, second, third, fourth, fifth, sixth = (
            int.from_bytes(data[place : place + width], "little")
            for place in range(size - width, limit - 1, -width)
        )
        start = fifth + -fifth % 8 + 8
        if not 0 <= first <= second <= third < fourth < fifth <= start - 8 <= sixth <= limit:
            raise ValueError("bad framing offset")
        if data[fourth - 1] or data[fifth - 1]:
            raise ValueError("no string")
        self.metadata_end = first
        parent = data[first:second]
        self.parent = parent.hex() if len(parent) == 32 else None
        self.subject = data[third : fourth - 1].decode()
        self.body = data[fourth : fifth - 1].decode()
        # Before 1970 it is a negative number that was written as a positive one.
        self.timestamp = int.from_bytes(data[start - 8 : start], "big", signed=True)
        tree, meta = data[start:sixth], data[sixth:limit]
        if len(tree) != 32 or len(meta) != 32 or len(parent) not in (0, 32):
            raise ValueError("no checksum")
        self.tree, self.meta = tree.hex(), meta.hex()

    @property
    def content(self) -> str:
        """The checksum of its tree with the root's own metadata, as libostree names contents."""
        return _sha256(bytes.fromhex(self.tree + self.meta))

    @property
    def version(self) -> str | None:
        """What its metadata says under `version`."""
        if b"version\0" not in self.data[: self.metadata_end]:
            return None
        found = self.metadata().get("version")
        return found.value if found is not None and found.type == "s" else None

    def metadata(self) -> dict[str, Any]:
        """Its metadata by key: `variant.Variant`s."""
        from dolmen.store.repo import variant

        # Of a key that comes twice the first counts, as for libostree.
        return dict(reversed(variant.read("a{sv}", self.data[: self.metadata_end])))

    def related(self) -> list[tuple[str, str]]:
        """The commits that it says are related: (name, checksum)."""
        from dolmen.store.repo import variant

        return [(name, found.hex()) for name, found in variant.read(TYPE, self.data)[2]]

    def text(self, *, swap: bool = True) -> str:
        """As `ostree show --raw` prints it; `swap`: numbers in the machine's own order."""
        from dolmen.store.repo import variant

        value = variant.read(TYPE, self.data)
        return variant.text(TYPE, variant.swapped(TYPE, value) if swap else value)

    def value(self) -> dict[str, object]:
        """As an object for JSON."""
        names = ("checksum", "parent", "content", "timestamp", "subject", "body", "version")
        return {name: getattr(self, name) for name in (*names, "tree", "meta")}


def _sha256(data: bytes) -> str:
    # The interpreter's own: OpenSSL, behind hashlib, takes 2 ms to load.
    try:
        import _sha256 as module  # type: ignore[import-not-found]
    except ImportError:
        import hashlib as module
    return str(module.sha256(data).hexdigest())


def load(repository: Repository, checksum: str) -> Commit:
    """A commit by its checksum; raises StoreError ("object-missing", "object-damaged")."""
    return Commit(checksum, repository.read(checksum, "commit"))


def detached(repository: Repository, checksum: str) -> dict[str, Any] | None:
    """A commit's detached metadata (signatures, most often), None where there are none."""
    from dolmen.store.repo import variant

    if not repository.has(checksum, "commitmeta"):
        return None
    try:
        return dict(reversed(variant.read("a{sv}", repository.read(checksum, "commitmeta"))))
    except (ValueError, IndexError):
        raise damaged(checksum, "commitmeta") from None


def history(repository: Repository, checksum: str) -> Iterator[Commit]:
    """The commit and all before it that are here, newest first.

    A parent that is not here (a shallow pull, a prune) is told by the last one's `parent`.
    """
    commit = load(repository, checksum)
    seen = {checksum}
    yield commit
    while commit.parent is not None and commit.parent not in seen:
        try:
            commit = load(repository, commit.parent)
        except StoreError as error:
            if error.reason != "object-missing":
                raise
            return
        seen.add(commit.checksum)
        yield commit


def resolve(repository: Repository, revision: str) -> str:
    """The commit that a name stands for.

    A ref, a checksum or an unambiguous prefix of one; after it any number of `^` (its parent),
    `~N` and `@{N}` (N commits before it), `@{DATE}` (the newest commit from there back that is no
    younger than a date(1)). Raises StoreError ("no-revision", "object-missing"), UsageError.
    """
    start = min((i for i in map(revision.find, _MARKS) if i >= 0), default=len(revision))
    base, rest = revision[:start], revision[start:]
    if not base:
        raise StoreError(f"Invalid rev '{revision}'", reason="no-revision", hint=_HINT)
    checksum = _base(repository, base)
    while rest:
        mark, rest = rest[0], rest[1:]
        if mark == "^":
            checksum = _before(repository, checksum, 1, base)
        elif mark == "~":
            digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
            rest = rest[len(digits) :]
            checksum = _before(repository, checksum, int(digits or 1), base)
        elif mark == "@" and rest[:1] == "{" and "}" in rest:
            words, _, rest = rest[1:].partition("}")
            if words.isdecimal() and len(words) <= _COUNT_DIGITS:
                checksum = _before(repository, checksum, int(words), base)
            else:
                checksum = _at(repository, checksum, words, base)
        else:
            raise StoreError(f"Invalid refspec {revision}", reason="no-revision", hint=_HINT)
    return checksum


def _base(repository: Repository, word: str) -> str:
    if refs.is_checksum(word):
        return word
    # libostree looks for checksums first: there the branch "a" is lost as soon as one begins so.
    named = refs.lookup(repository, word)
    if named is not None:
        return named
    if len(word) < 64 and not word.strip("0123456789abcdef"):
        found = repository.commits(word)
        if len(found) > 1:
            raise StoreError(
                f"Refspec {word} not unique",
                reason="no-revision",
                details=[f"commit {name}" for name in found[:10]],
                hint="dolmen store rev-parse MORE-DIGITS",
            )
        if found:
            return found[0]
    raise StoreError(f"Refspec '{word}' not found", reason="no-revision", hint=_HINT)


def _before(repository: Repository, checksum: str, steps: int, base: str) -> str:
    for _ in range(steps):
        parent = load(repository, checksum).parent
        if parent is None:
            raise StoreError(
                f"Commit {checksum} has no parent",
                reason="no-revision",
                hint=f"dolmen store log {base}",
            )
        checksum = parent
    return checksum


def _at(repository: Repository, checksum: str, words: str, base: str) -> str:
    from dolmen.support.dates import seconds

    wanted = seconds(words)
    for commit in history(repository, checksum):
        if commit.timestamp <= wanted:
            return commit.checksum
    raise StoreError(
        f"No commit of {base} is as old as '{words}'",
        reason="no-revision",
        hint=f"dolmen store log {base}",
    )


def sole(repository: Repository) -> str:
    """The only commit of a repository; raises StoreError ("no-revision") if there are others."""
    found = repository.commits()
    if len(found) != 1:
        words = "Multiple commit objects" if found else "No commit objects"
        raise StoreError(f"{words} found", reason="no-revision", hint=_HINT)
    return found[0]
