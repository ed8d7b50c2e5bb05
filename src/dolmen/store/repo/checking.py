"""Checking that every object is there and is what its name says."""

from __future__ import annotations

from dolmen.store.repo import refs
from dolmen.store.repo.commits import Commit, load
from dolmen.store.repo.examining import examiner
from dolmen.store.repo.reach import checksums
from dolmen.store.repo.repository import unreadable
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dolmen.store.repo.repository import Repository

    Name = tuple[str, str]


class Damage:
    """One object that is missing or not what its name says; `path` and `commits` that suffer."""

    __slots__ = ("checksum", "commits", "kind", "message", "missing", "path")

    def __init__(self, name: Name, missing: bool, message: str) -> None:
        self.checksum, self.kind = name
        self.missing = missing
        self.message = message
        self.path: str | None = None
        self.commits: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """As `ostree fsck` says it."""
        names = ", ".join(self.commits)
        if self.missing:
            return f"Object missing in commits {names}: {self.checksum}.{self.kind}"
        return f"In commits {names}: {self.message}"

    def value(self) -> dict[str, object]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Checked:
    """What a check found.

    `partial`: how many commits lack something by intent (a pull of a part); `broken`: commits that
    lack something because an earlier check found it damaged or gone; `bad_refs` tells of refs whose
    commit is not here or is bound to others; `tombstones`: commits whose parent is gone, which were
    asked to leave a mark; `marked`: commits that were marked as partial just now.
    """

    def __init__(self) -> None:
        self.commits = self.objects = self.partial = 0
        self.broken: list[str] = []
        self.damages: list[Damage] = []
        self.bad_refs: list[str] = []
        self.tombstones: list[str] = []
        self.marked: list[str] = []

    @property
    def verified(self) -> int:
        """How many commits were looked at with all that they need."""
        return self.commits - self.partial - len(self.broken)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.damages or self.bad_refs or self.broken)

    def value(self) -> dict[str, object]:
        """For JSON."""
        found = {**vars(self), "clean": self.clean}
        return found | {"damages": [damage.value() for damage in self.damages]}


class Wish:
    """How to check: `delete` takes damaged objects away, `whole` does not stop at the first."""

    __slots__ = ("back_refs", "bindings", "delete", "tombstones", "whole")

    def __init__(
        self,
        *,
        delete: bool = False,
        whole: bool = False,
        bindings: bool = False,
        back_refs: bool = False,
        tombstones: bool = False,
    ) -> None:
        self.delete = delete
        self.whole = whole
        self.bindings = bindings or back_refs
        self.back_refs = back_refs
        self.tombstones = tombstones


def fsck(
    repository: Repository,
    wish: Wish,
    *,
    said: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Check every object that a commit reaches, on all processors.

    Stops at the first damaged object unless all are wished for. Commits that lack something are
    marked, so that a pull fetches it again and the next check tells them until then. `said` hears
    what is begun, in ostree's words. Raises StoreError ("store-failed").
    """
    found = Checked()
    examine = examiner(repository)
    said("Validating refs...")
    for name, checksum in refs.listed(repository).items():
        found.bad_refs += _of_ref(repository, None, name, checksum, wish)
    if not found.bad_refs or wish.whole:
        said("Validating refs in collections...")
        for (owner, name), checksum in refs.collections(repository, remotes=False).items():
            found.bad_refs += _of_ref(repository, owner, name, checksum, wish)
    if found.bad_refs and not (wish.whole or wish.delete):
        return found
    said("Enumerating commits...")
    whole = _commits(repository, wish, found, examine)
    said(f"Verifying content integrity of {found.verified} commit objects...")
    if not found.damages or wish.whole or wish.delete:
        _objects(repository, whole, wish, found, examine, progress)
    if found.damages:
        _blame(repository, whole, found.damages)
    try:
        _act(repository, wish, found)
    except OSError as error:
        raise unreadable(error) from None
    except StoreError as error:
        # Who may not write still hears what is damaged; only the marks are not left.
        if error.reason != "store-read-only" or wish.delete or wish.tombstones:
            raise
    return found


def _of_ref(
    repository: Repository, collection: str | None, name: str, checksum: str, wish: Wish
) -> Iterator[str]:
    shown = f"ref {name}" if collection is None else f"ref ({collection}, {name})"
    try:
        commit = load(repository, checksum)
    except StoreError as error:
        if error.reason == "object-missing":
            yield f"Loading commit for {shown}: {error.message}"
        return  # a damaged one is told with the objects
    if wish.bindings:
        why = _unbound(commit, collection, name.rpartition(":")[2])
        if why:
            yield f"Commit {checksum}: {why}"


def _bindings(commit: Commit) -> tuple[list[str] | None, str | None]:
    metadata = commit.metadata()
    names, owner = metadata.get("ostree.ref-binding"), metadata.get("ostree.collection-binding")
    return (
        names.value if names is not None and names.type == "as" else None,
        owner.value if owner is not None and owner.type == "s" else None,
    )


def _unbound(commit: Commit, collection: str | None, name: str) -> str:
    """Why a commit is not for a ref; as ostree_repo_verify_bindings says it."""
    names, owner = _bindings(commit)
    if names is None:
        if collection is None:
            return ""
        return "Expected commit metadata to have ref binding information, found none"
    if name not in names:
        shown = ", ".join(f"‘{one}’" for one in names) or "no refs"
        return f"Commit has no requested ref ‘{name}’ in ref binding metadata ({shown})"
    if collection is None or owner == collection:
        return ""
    if owner is None:
        return "Expected commit metadata to have collection ID binding information, found none"
    return (
        f"Commit has collection ID ‘{owner}’ in collection binding metadata, "
        f"while the remote it came from has collection ID ‘{collection}’"
    )


def _astray(repository: Repository, commit: Commit) -> Iterator[str]:
    """Refs that a commit says it is for, and that name another or none."""
    names, owner = _bindings(commit)
    mirrored = refs.collections(repository) if owner is not None else {}
    for name in names or ():
        found = refs.lookup(repository, name) if owner is None else mirrored.get((owner, name))
        if found != commit.checksum:
            shown = f"Ref ‘{name}’" if owner is None else f"Collection–ref ({owner}, {name})"
            end = "does not exist" if found is None else "does not resolve to that commit"
            yield f"{shown} in bindings for commit {commit.checksum} {end}"


def _commits(
    repository: Repository,
    wish: Wish,
    found: Checked,
    examine: Callable[[Name], tuple[bool, str] | None],
) -> list[Commit]:
    """The commits that shall be whole; what is wrong with them themselves is told in `found`."""
    whole = []
    for checksum in repository.commits():
        found.commits += 1
        # Before its words are believed: a commit that is not what its name says leads nowhere.
        verdict = examine((checksum, "commit"))
        if verdict is not None:
            damage = Damage((checksum, "commit"), *verdict)
            damage.commits = (checksum,)
            found.damages.append(damage)
            continue
        commit = load(repository, checksum)
        if wish.back_refs:
            found.bad_refs += _astray(repository, commit)
        if wish.tombstones and commit.parent and not repository.has(commit.parent, "commit"):
            found.tombstones.append(checksum)
        state = repository.state(checksum)
        if state == "fsck":
            found.broken.append(checksum)
        elif state:
            found.partial += 1
        else:
            whole.append(commit)
    return whole


def _objects(
    repository: Repository,
    whole: list[Commit],
    wish: Wish,
    found: Checked,
    examine: Callable[[Name], tuple[bool, str] | None],
    progress: Callable[[int, int], None] | None,
) -> None:
    from dolmen.store.repo.parallel import each

    names = _needed(repository, whole)
    found.objects = len(names) + len(whole)
    told = None
    if progress is not None:
        start, total, tell = len(whole), found.objects, progress

        def told(done: int) -> None:
            tell(start + done, total)

    for name, (missing, message) in each(examine, names, told):
        found.damages.append(Damage(name, missing, message))
        if not (missing or wish.whole or wish.delete):
            break
    found.damages.sort(key=lambda damage: (damage.kind, damage.checksum))


def _needed(repository: Repository, whole: list[Commit]) -> list[Name]:
    """Every object but the commits themselves, as far as can be told from what is readable."""
    trees: set[str] = set()
    metas: set[str] = set()
    files: set[str] = set()
    waiting = []
    for commit in whole:
        metas.add(commit.meta)
        if commit.tree not in trees:
            trees.add(commit.tree)
            waiting.append(commit.tree)
    while waiting:
        below = _read(repository, waiting.pop())
        files.update(below[0])
        for tree, meta in below[1]:
            metas.add(meta)
            if tree not in trees:
                trees.add(tree)
                waiting.append(tree)
    kinds = (("dirmeta", metas), ("dirtree", trees), ("file", files))
    # Sorted, since objects of one directory are found faster one after another.
    return [(checksum, kind) for kind, names in kinds for checksum in sorted(names)]


def _read(repository: Repository, checksum: str) -> tuple[list[str], list[tuple[str, str]]]:
    """What a directory needs; one that cannot be read needs nothing, and is told later."""
    try:
        return checksums(repository.read(checksum, "dirtree"))
    except (StoreError, ValueError, IndexError):
        return [], []


def _blame(repository: Repository, whole: list[Commit], damages: list[Damage]) -> None:
    """Tell of each damage which commits suffer, and one path at which they do."""
    sought = {(damage.checksum, damage.kind): damage for damage in damages}
    suffering: dict[Name, list[str]] = {name: [] for name in sought}
    for commit in whole:
        for name, path in _paths(repository, commit):
            damage = sought.get(name)
            if damage is None or commit.checksum in suffering[name][-1:]:
                continue
            suffering[name].append(commit.checksum)
            damage.path = damage.path or path
    for name, damage in sought.items():
        damage.commits = damage.commits or tuple(suffering[name])


def _paths(repository: Repository, commit: Commit) -> Iterator[tuple[Name, str]]:
    """Every object of a commit with a path; a directory that cannot be read ends there."""
    from dolmen.store.repo.tree import names

    yield (commit.meta, "dirmeta"), "/"
    waiting = [(commit.tree, "")]
    seen = set()
    while waiting:
        tree, path = waiting.pop()
        yield (tree, "dirtree"), path or "/"
        if tree in seen:
            continue
        seen.add(tree)
        try:
            files, dirs = names(repository, tree)
        except StoreError:
            continue
        for name, checksum in files.items():
            yield (checksum, "file"), f"{path}/{name}"
        for name, (below, meta) in dirs.items():
            yield (meta, "dirmeta"), f"{path}/{name}"
            waiting.append((below, f"{path}/{name}"))


def _act(repository: Repository, wish: Wish, found: Checked) -> None:
    """Take damaged objects away, mark who lacks something, leave tombstones."""
    if not (found.tombstones or any(d.missing or wish.delete for d in found.damages)):
        return
    from dolmen.store.repo import changing

    with changing.Exclusive(repository):
        for damage in found.damages:
            if not (wish.delete or damage.missing):
                continue
            if wish.delete and not damage.missing:
                changing.delete_object(repository, damage.checksum, damage.kind)
            for checksum in damage.commits if damage.kind != "commit" else ():
                if checksum not in found.marked and changing.mark_partial(repository, checksum):
                    found.marked.append(checksum)
        if found.tombstones:
            changing.enable_tombstones(repository)
        for checksum in found.tombstones:
            changing.delete_object(repository, checksum, "commit")
