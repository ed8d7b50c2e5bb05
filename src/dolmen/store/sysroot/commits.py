"""Questions about a commit in a sysroot's repository, before anything is deployed from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gi.repository import OSTree

from dolmen.store.history.repository import History, told
from dolmen.store.history.tree import Entry, Tree
from dolmen.store.repo.examining import examiner
from dolmen.store.repo.parallel import each
from dolmen.store.repo.reach import Reach
from dolmen.store.repo.repository import Repository
from dolmen.store.sysroot.deployment import Metadata
from dolmen.store.sysroot.metadata import read_metadata
from dolmen.support.errors import StoreError

_MODULES = "/usr/lib/modules"
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of a commit: its KVER, the bytes it needs in /boot, and libostree's checksum.

    The checksum is over kernel, initramfs and device tree in this order; it names the directory in
    /boot (ostree-sysroot-deploy.c, get_kernel_from_tree_usrlib_modules).
    """

    version: str
    size: int
    checksum: str


def metadata(history: History, commit: str) -> Metadata:
    """What the commit says about itself; raises StoreError ("object-missing")."""
    return read_metadata(history.repo, commit)


def is_partial(history: History, commit: str) -> bool:
    """Whether only a part of a commit was fetched, by intent."""
    with told():
        state = int(history.repo.load_commit(commit)[2])
    return bool(state & int(OSTree.RepoCommitState.PARTIAL))


def resolve(history: History, revision: str) -> str:
    """The checksum that a ref, a checksum or its beginning means; raises ("no-revision")."""
    with told():
        return str(history.repo.resolve_rev(revision, False)[1])


def kernels(history: History, commit: str) -> tuple[Kernel, ...]:
    """The kernels that have an initramfs beside them; libostree deploys exactly one."""
    tree = Tree(history, commit)
    found = []
    for directory in _children(tree, _MODULES):
        if not directory.is_directory:
            continue
        names = {entry.path.rpartition("/")[2]: entry for entry in tree.children(directory)}
        image = names.get("vmlinuz")
        initramfs = names.get("initramfs.img") or names.get("initramfs")
        if image is None or initramfs is None or not (image.is_file and initramfs.is_file):
            continue
        parts = [image, initramfs]
        if "devicetree" in names:
            parts.append(names["devicetree"])
        digest = hashlib.sha256()
        for part in parts:
            for piece in tree.read(part):
                digest.update(piece)
        found.append(
            Kernel(
                directory.path.rpartition("/")[2],
                sum(part.size for part in parts),
                digest.hexdigest(),
            )
        )
    return tuple(found)


def read(history: History, commit: str, path: str) -> bytes | None:
    """A file of a commit, whole; None where there is none."""
    tree = Tree(history, commit)
    try:
        entry = tree.follow(path)
    except StoreError as error:
        if error.reason in ("no-path", "not-a-directory", "not-a-file"):
            return None
        raise
    if entry.size > _LARGEST:
        return None
    return b"".join(tree.read(entry))


def exists(history: History, commit: str, path: str) -> bool:
    """Whether a commit has this path."""
    try:
        Tree(history, commit).find(path)
    except StoreError as error:
        if error.reason in ("no-path", "not-a-directory"):
            return False
        raise
    return True


def damages(
    history: History,
    commit: str,
    *,
    running: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[str, ...], int]:
    """Read and hash what a commit needs beyond what the `running` one has.

    What is missing or not what its name says, and how many objects were read. A file that both
    have is one file, which the machine runs from already; one that is missing stops the checkout.
    """
    repository = Repository(history.path)
    examine = examiner(repository)
    wrong = examine((commit, "commit"))
    if wrong is not None:
        return (wrong[1],), 1
    wanted = Reach(repository)
    try:
        wanted.commit(commit)
    except StoreError as error:
        return (error.message,), 1
    shared = reached(history, {running} - {"", commit})
    names = sorted(wanted.objects() - shared.objects())
    told_of = None if progress is None else partial(_tell, progress, len(names))
    found = [message for _name, (_missing, message) in each(examine, names, told_of)]
    return tuple(sorted(found)), len(names)


def reached(history: History, commits: Iterable[str]) -> Reach:
    """All objects of commits that are here; one that is damaged counts for nothing."""
    repository = Repository(history.path)
    found = Reach(repository)
    for commit in commits:
        more = Reach(repository)
        more.merge(found)
        with suppress(StoreError):
            more.commit(commit)
            found = more
    return found


def _tell(progress: Callable[[int, int], None], total: int, done: int) -> None:
    progress(done, total)


def _children(tree: Tree, path: str) -> list[Entry]:
    try:
        found = tree.find(path)
    except StoreError as error:
        if error.reason in ("no-path", "not-a-directory"):
            return []
        raise
    return list(tree.children(found)) if found.is_directory else []


def read_object(history: History, checksum: str) -> bytes:
    """A regular file's content by its object; raises StoreError ("object-missing")."""
    with told():
        stream = history.repo.load_file(checksum, None)[1]
        content = b""
        while piece := stream.read_bytes(1 << 20, None).get_data():
            content += piece
        return content


def set_ref(history: History, ref: str, commit: str | None) -> None:
    """Let a ref of the repository name a commit, or (None) nothing any more."""
    with told():
        history.repo.set_ref_immediate(None, ref, commit, None)


def list_refs(history: History, prefix: str) -> dict[str, str]:
    """The refs below a prefix, by what follows it."""
    with told():
        found = history.repo.list_refs(prefix, None)[1]
    return {str(name).removeprefix(f"{prefix}/"): str(commit) for name, commit in found.items()}
