"""Throwing away what no ref needs."""

from __future__ import annotations

import os

from dolmen.store.repo import changing, refs
from dolmen.store.repo.commits import load, resolve
from dolmen.store.repo.reach import Reach
from dolmen.store.repo.repository import unreadable
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dolmen.store.repo.repository import Repository

_LINK_TO = "../"


class Pruned:
    """What went: objects that there were, that are gone (or would be), and their bytes."""

    __slots__ = ("freed", "pruned", "total")

    def __init__(self) -> None:
        self.total = self.pruned = self.freed = 0

    def value(self) -> dict[str, int]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Rules:
    """What stays.

    `refs_only`: what no ref leads to goes, else only what no commit needs. `depth`: how many
    parents of a ref's commit stay, -1 for all. `younger_than`: parents from then on (seconds of
    UTC) stay instead. `only`: branches that are shortened so, others stay whole; `retain`: branches
    that have a depth of their own. `commits_only`: nothing but commits goes.
    """

    __slots__ = ("commits_only", "depth", "only", "refs_only", "retain", "younger_than")

    def __init__(
        self,
        *,
        refs_only: bool = False,
        depth: int = -1,
        younger_than: int | None = None,
        only: Sequence[str] = (),
        retain: Mapping[str, int] | None = None,
        commits_only: bool = False,
    ) -> None:
        self.refs_only = refs_only
        self.depth = depth
        self.younger_than = younger_than
        self.only = only
        self.retain = retain or {}
        self.commits_only = commits_only

    @property
    def special(self) -> bool:
        """Whether branches are treated each in its own way."""
        return bool(self.only or self.retain) or self.younger_than is not None


def prune(
    repository: Repository,
    rules: Rules,
    *,
    dry_run: bool = False,
    delete_commit: str | None = None,
    deltas_only: bool = False,
) -> Pruned:
    """Delete what the rules leave to nobody; `delete_commit` goes first.

    `deltas_only`: of `delete_commit`, only the static deltas to it. Raises StoreError ("store-own",
    "no-revision", "ref-needs", "object-missing"), BusyError.
    """
    repository.refuse_collecting()
    if dry_run:
        return _prune(repository, rules, dry_run=True)
    with changing.Exclusive(repository):
        if delete_commit is not None:
            checksum = resolve(repository, delete_commit)
            if deltas_only:
                _prune_deltas(repository, checksum)
            else:
                _delete_commit(repository, checksum)
        return _prune(repository, rules, dry_run=False)


def _delete_commit(repository: Repository, checksum: str) -> None:
    named = {**refs.listed(repository)}
    named |= {
        f"({owner}, {name})": commit
        for (owner, name), commit in refs.collections(repository, remotes=False).items()
    }
    for name, commit in named.items():
        if commit == checksum:
            shown = name if name.startswith("(") else f"'{name}'"
            raise StoreError(
                f"Commit '{checksum}' is referenced by {shown}",
                reason="ref-needs",
                hint=f"dolmen store refs --delete {name}",
            )
    load(repository, checksum)  # it must be here
    changing.enable_tombstones(repository)
    changing.delete_object(repository, checksum, "commit")


def _prune(repository: Repository, rules: Rules, *, dry_run: bool) -> Pruned:
    reach = Reach(repository)
    for checksum, depth in _starts(repository, rules):
        reach.history(checksum, depth, commits_only=rules.commits_only)
    kept = {
        "commit": reach.commits,
        "dirtree": reach.dirtrees,
        "dirmeta": reach.dirmetas,
        repository.file_suffix: reach.files,
    }
    if rules.commits_only:
        kept = {"commit": reach.commits}
    found = Pruned()
    going: list[tuple[str, str]] = []
    for checksum, kind in _objects(repository):
        needed = kept.get(kind)
        if needed is None:
            if kind != "payload-link" or rules.commits_only:
                continue
            gone = not _linked(repository, checksum, reach.files)
        else:
            gone = checksum not in needed
        found.total += 1
        if gone:
            found.freed += os.lstat(repository.place(checksum, kind)).st_size
            found.pruned += 1
            going.append((checksum, kind))
    if not dry_run:
        # Commits first: one that is there should have what it names, whenever we are interrupted.
        for checksum, kind in sorted(going, key=lambda name: name[1] != "commit"):
            if kind == "commit":
                changing.unmark_partial(repository, checksum)
            changing.delete_object(repository, checksum, kind)
        _prune_deltas(repository, None)
        _prune_cache(repository)
    return found


def _starts(repository: Repository, rules: Rules) -> list[tuple[str, int]]:
    """The commits that stay with so many parents each."""
    named = refs.listed(repository)
    if not rules.special:
        if not rules.refs_only:
            return [(checksum, rules.depth) for checksum in repository.names("commit")]
        kept = set(named.values()) | set(refs.collections(repository, remotes=False).values())
        return [(checksum, rules.depth) for checksum in sorted(kept)]
    for name in rules.only:
        resolve(repository, name)
    found: list[tuple[str, int]] = []
    for name, checksum in named.items():
        if name in rules.retain:
            found.append((checksum, rules.retain[name]))
        elif rules.only and name not in rules.only:
            found.append((checksum, -1))
        elif rules.younger_than is not None:
            found += [(young, 0) for young in _young(repository, checksum, rules.younger_than)]
        else:
            found.append((checksum, rules.depth))
    return found


def _young(repository: Repository, checksum: str, since: int) -> list[str]:
    """A ref's commit, and its parents up to the first that is older."""
    found = [checksum]
    here: str | None = checksum
    while here is not None and repository.has(here, "commit"):
        commit = load(repository, here)
        if commit.timestamp < since:
            break
        found.append(here)
        here = commit.parent if commit.parent not in found else None
    return found


def _objects(repository: Repository) -> list[tuple[str, str]]:
    """Every object's name and suffix, of this repository alone."""
    found = []
    try:
        for head in os.listdir(repository.objects):
            if len(head) == 2:
                for name in os.listdir(f"{repository.objects}/{head}"):
                    if name[62:63] == ".":
                        found.append((head + name[:62], name[63:]))
    except OSError as error:
        raise unreadable(error) from None
    return found


def _linked(repository: Repository, checksum: str, files: set[str]) -> bool:
    """Whether a payload link (a content's checksum -> a file with it) leads to one that stays."""
    try:
        target = os.readlink(repository.place(checksum, "payload-link"))
    except OSError:
        return False
    parts = target.removeprefix(_LINK_TO).split("/")
    return len(parts) == 2 and parts[0] + parts[1].partition(".")[0] in files


def _prune_deltas(repository: Repository, commit: str | None) -> None:
    """Delete the static deltas to a commit, or to all that are not here any more."""
    top = f"{repository.path}/deltas"
    for head in _listed(top):
        for rest in _listed(f"{top}/{head}"):
            to = _decoded((head + rest).rpartition("-")[2])
            gone = to == commit if commit is not None else not repository.has(to, "commit")
            if to and gone:
                from pathlib import Path

                from dolmen.support.files import remove_tree

                remove_tree(Path(f"{top}/{head}/{rest}"))


def _decoded(name: str) -> str:
    """A checksum from libostree's own base64 (`_` for `/`, no padding)."""
    from binascii import a2b_base64

    try:
        return a2b_base64(name.replace("_", "/") + "=").hex()
    except ValueError:
        return ""


def _prune_cache(repository: Repository) -> None:
    """Forget summaries of remotes that are no more."""
    top = f"{repository.path}/tmp/cache/summaries"
    found = _listed(top)
    if found:
        remotes = {
            section.partition(" ")[2].strip('"')
            for section in repository.sections()
            if section.startswith("remote ")
        }
        for name in found:
            if name.removesuffix(".sig") not in remotes:
                os.unlink(f"{top}/{name}")


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
