"""The store as the other rooms see it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dolmen.model import LockedPackage, Sha256
from dolmen.store import roots
from dolmen.store.failures import translated
from dolmen.store.image import Image
from dolmen.store.layout import prepare, store_path
from dolmen.store.objects import Objects, root_checksum
from dolmen.store.package import PackageTree, parse_index
from dolmen.store.roots import Lease, Needs
from dolmen.support import clock
from dolmen.support.errors import StoreError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted, ignore
from dolmen.support.files import symlink_atomic, sync_directory, write_atomic
from dolmen.support.locking import DEFAULT_TIMEOUT, locked

if TYPE_CHECKING:
    from dolmen.store.builder import TreeBuilder
    from dolmen.store.compare import TreeDifference, TreeReader
    from dolmen.store.integrity import Damage
    from dolmen.store.transaction import Transaction
    from dolmen.store.usage import Inventory
    from dolmen.store.walk import WalkEntry

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOCK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


class Store:
    """One store; made by `Store.open`. Safe to use from several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._objects = Objects(path / "repo")
        self.debs = path / "debs"
        self.archive = path / "archive"
        self.tmp = path / "tmp"
        self.trees = path / "trees"
        self.images = path / "images"
        self._roots = path / "roots"
        self.locks = path / "locks"
        self._lease = contextlib.ExitStack()

    @classmethod
    def open(cls, path: Path | None = None) -> Store:
        """Open the store at `path` (default: `store_path()`), making it on first use.

        Raises StoreError: "store-format", "store-foreign", "store-no-xattrs", "store-read-only",
        "store-full", "store-failed".
        """
        where = store_path(path)
        prepare(where)
        return cls(where)

    @classmethod
    def to_look_at(cls, path: Path | None = None) -> Store:
        """The same, also where it can only be read; then nothing can be locked, nor change."""
        where = store_path(path)
        prepare(where, looking=True)
        return cls(where)

    @contextlib.contextmanager
    def looking(self, *, emit: Emit = ignore) -> Iterator[None]:
        """Hold off the collector where there can be one: not in a store that is read-only."""
        if os.access(self.locks, os.W_OK):
            with self.locked("store", emit=emit):
                yield
        else:
            yield

    @contextlib.contextmanager
    def locked(
        self,
        what: str = "store",
        *,
        shared: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
        emit: Emit = ignore,
    ) -> Iterator[None]:
        """Hold the lock `what`: "store" (shared: use it; exclusive: collect), "image-<key>" …

        Waits at most `timeout` seconds. Raises BusyError, and StoreError ("store-full",
        "store-failed").
        """
        if not _LOCK_NAME.fullmatch(what):
            raise ValueError(what)
        shown = "the store" if what == "store" else f"the lock {what[:30]} of the store"
        with contextlib.ExitStack() as stack:
            with translated("lock"):
                place = self.locks / what
                held = locked(place, what=shown, shared=shared, timeout=timeout, emit=emit)
                stack.enter_context(held)
            yield

    def lease(self, *, emit: Emit = ignore) -> None:
        """Keep the collector away until `release` or the end of the process.

        Whoever makes something holds a lease until it is rooted: before that nothing tells it from
        garbage. The descriptor is close-on-exec.
        """
        self._lease.enter_context(self.locked("store", emit=emit))

    def release(self) -> None:
        """Give up the leases."""
        self._lease.close()

    # Packages

    def has_package(self, sha256: Sha256) -> bool:
        """Whether the .deb with this digest has been imported."""
        commit = self._ref(f"deb/{sha256}")
        return commit is not None and self._objects.has(commit, "commit")

    def import_packages(
        self, debs: Iterable[tuple[LockedPackage, Path]], *, emit: Emit = ignore
    ) -> None:
        """Import .debs in parallel, as `debs` yields them; those imported before cost nothing.

        Raises PackageError for a damaged or hostile .deb (nothing of this call is kept then),
        StoreError ("store-full" …), and whatever `debs` itself raises.
        """
        from dolmen.store.importer import import_all

        with self.locked("store", emit=emit):
            import_all(self._transaction(), debs, known=self.has_package, emit=emit)

    def restore_packages(
        self, remainders: Iterable[tuple[Sha256, bytes]], source: Path, *, emit: Emit = ignore
    ) -> int:
        """Take package trees over from an image in another repository, as far as it has them.

        `remainders`: what `remainder` made of each, by the .deb's digest. Returns how many came.
        Raises StoreError ("store-full", …).
        """
        from dolmen.store.remainder import restore_all

        with self.locked("store", emit=emit):
            return restore_all(self._transaction(), remainders, source, emit=emit)

    def package(self, sha256: Sha256) -> PackageTree:
        """The index of an imported .deb; raises StoreError ("not-imported")."""
        commit = self._ref(f"deb/{sha256}")
        if commit is None:
            raise StoreError(
                f"the package {sha256} is not in the store",
                reason="not-imported",
                hint="dolmen sync",
            )
        root = self._objects.dirtree(self._objects.commit(commit).tree)
        return parse_index(self.read_object(root.files["index.json"]), root.dirs["data"])

    def read_object(self, checksum: str) -> bytes:
        """The content of a regular file's object; raises StoreError ("object-missing")."""
        return self._objects.read(checksum)

    def link_target(self, checksum: str) -> str | None:
        """The target of a symbolic link's object, None for a regular file's."""
        return self._objects.link_target(checksum)

    def resolve(self, ref: str) -> Sha256 | None:
        """The commit that a ref names, None where there is none."""
        return self._ref(ref)

    def file(self, commit: Sha256, path: str) -> bytes:
        """A file of a commit by its path; raises StoreError ("object-missing")."""
        checksum = self.reader(commit).find(path)
        if checksum is None:
            raise StoreError(
                f"{path} is not in the commit {commit}",
                reason="object-missing",
                hint="dolmen fsck",
            )
        return self._objects.read(checksum)

    def metadata(self, commit: Sha256) -> dict[str, object]:
        """A commit's metadata by key."""
        from dolmen.store.commits import decode_metadata

        return decode_metadata(self._objects.read(commit, "commit"))

    def has_commit(self, commit: str) -> bool:
        """Whether a commit is there."""
        return self._objects.has(commit, "commit")

    def root_of(self, commit: str) -> Sha256:
        """The checksum of a commit's root; raises StoreError ("object-missing", …)."""
        found = self._objects.commit(commit)
        return root_checksum(found.tree, found.meta)

    def name(self, ref: str, commit: Sha256) -> None:
        """Point a ref of ours at a commit; durable."""
        path = self.path / "repo/refs/heads" / ref
        with translated("record"):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, f"{commit}\n")

    def unname(self, ref: str) -> None:
        """Remove a ref of ours; what only it kept is garbage then."""
        with translated("record"):
            (self.path / "repo/refs/heads" / ref).unlink(missing_ok=True)

    def refs(self) -> tuple[str, ...]:
        """All refs ("deb/<digest>", "image/<root>" …), sorted; those half written are left out."""
        base = self.path / "repo/refs/heads"
        return tuple(
            sorted(
                os.path.relpath(os.path.join(directory, name), base)
                for directory, _, names in os.walk(base)
                for name in names
                if not name.startswith(".")
            )
        )

    # Trees and images

    def tree_builder(self) -> TreeBuilder:
        """Begin a tree; use it as a context manager."""
        from dolmen.store.builder import TreeBuilder

        return TreeBuilder(self._transaction, self.package, self.locked("store"))

    def image(self, key: Sha256) -> Image | None:
        """The image recorded for a key (digest of a lock or of a base set); starts no libostree."""
        try:
            root = Sha256(os.path.basename(os.readlink(self.images / key)))
        except OSError:
            return None
        if not _SHA256.fullmatch(root):
            return None
        commit = self._ref(f"image/{root}")
        if commit is None or not self._objects.has(commit, "commit"):
            return None
        return Image(root, commit)

    def record_image(self, key: Sha256, image: Image) -> None:
        """Remember what building `key` gave; the ref comes first, the pointer last."""
        with translated("record"):
            self._name(image)
            symlink_atomic(self.images / key, f"../trees/{image.root}")

    def realise(self, image: Image, *, emit: Emit = ignore) -> Path:
        """The image as a directory of hard links to the store's objects, to be used read-only.

        Complete or absent: made under another name, synced, renamed. Callers at the same time
        make it once. Raises StoreError ("object-missing", "object-damaged", "store-full" …).
        """
        tree = self.trees / image.root
        if tree.is_dir():
            return tree
        started = clock.monotonic()
        emit(PhaseStarted(Phase.REALISE))
        with (
            self.locked("store", emit=emit),
            self.locked(f"tree-{image.root}", shared=False, emit=emit),
        ):
            if not tree.is_dir():
                from dolmen.store.transaction import sync_file_system

                self._check_root(image)
                with translated("realise"), self.scratch() as work:
                    self._name(image)  # or a kill would leave a tree whose objects nothing keeps
                    self.checkout(image.commit, work / "tree")
                    sync_file_system(self.path)
                    (work / "tree").rename(tree)
                    sync_directory(self.trees)
        emit(PhaseFinished(Phase.REALISE, 1, clock.monotonic() - started))
        return tree

    def checkout(self, commit: Sha256, destination: Path) -> None:
        """Hard-link a commit's tree to `destination`, which must not exist; not durable.

        Every time stamp in it is 0.
        """
        from dolmen.store.checkout import checkout

        found = self._objects.commit(commit)
        with translated("checkout"):
            checkout(self._objects, found.tree, found.meta, destination)

    def walk(self, commit: Sha256) -> Iterator[WalkEntry]:
        """Every path of a commit, sorted; raises StoreError ("object-missing", …)."""
        from dolmen.store.walk import walk

        return walk(self._objects, commit)

    def check(self, commit: Sha256) -> Iterator[Damage]:
        """Read and hash all that a commit holds; yields what is missing or damaged."""
        from dolmen.store.integrity import check

        return check(self._objects, commit)

    def compare(self, before: Sha256, after: Sha256) -> Iterator[TreeDifference]:
        """Where two commits differ; raises StoreError ("object-missing", …)."""
        from dolmen.store.compare import compare_trees

        return compare_trees(self._objects, before, after)

    def reader(self, commit: Sha256) -> TreeReader:
        """Reads files of a commit by path; raises StoreError ("object-missing", …)."""
        from dolmen.store.compare import TreeReader

        return TreeReader(self._objects, commit)

    def write_layer(
        self, before: tuple[Sha256, Sha256], after: tuple[Sha256, Sha256], upper: Path
    ) -> int:
        """What leads from one tree (dirtree, dirmeta) to another, as an overlay's upper directory.

        `upper` is there and the caller's own. How many names it holds then; not durable. Raises
        PackageError ("unsafe-path"), StoreError ("object-missing", …), OSError.
        """
        from dolmen.store.layering import write_layer

        return write_layer(self._objects, before, after, upper)

    def kind_of(self, tree: tuple[Sha256, Sha256], path: str) -> str:
        """What is at a path of a tree: "d", "f" (also a link), or "" for nothing."""
        checksum = tree[0]
        for number, part in enumerate(parts := path.split("/"), 1):
            content = self._objects.dirtree(checksum)
            if part not in content.dirs:
                return "f" if part in content.files and number == len(parts) else ""
            checksum = content.dirs[part][0]
        return "d"

    @staticmethod
    def sync(directory: Path) -> None:
        """Make everything on a directory's file system durable."""
        from dolmen.store.transaction import sync_file_system

        sync_file_system(directory)

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """A working directory on the store's file system, removed at the end or, after a kill,
        by whoever makes the next one."""
        from dolmen.store.scratch import scratch

        return scratch(self.tmp)

    # Roots of garbage collection

    def add_root(self, directory: Path) -> Path:
        """Keep what the generations of `directory` use; the entry, named after the directory."""
        return roots.add_root(self._roots, directory.absolute())

    def roots(self) -> tuple[Path, ...]:
        """Every directory that is registered, there or not."""
        return roots.list_roots(self._roots)

    def remove_root(self, directory: Path) -> None:
        """End a registration."""
        roots.remove_root(self._roots, directory.absolute())

    def remember(self, directory: Path, needs: Needs) -> None:
        """Note that a registered directory needs this, for the time when it cannot be read."""
        roots.extend_lease(self._roots, directory.absolute(), needs)

    def read_lease(self, directory: Path) -> Lease:
        """What a registered directory needed when it was last seen."""
        return roots.read_lease(self._roots, directory.absolute())

    def write_lease(self, directory: Path, lease: Lease) -> None:
        """Replace what is remembered of a registered directory."""
        roots.write_lease(self._roots, directory.absolute(), lease)

    def inventory(self) -> Inventory:
        """A reader of what commits hold and how much room that takes."""
        from dolmen.store.usage import Inventory

        return Inventory(self._objects)

    # Inside

    def _check_root(self, image: Image) -> None:
        commit = self._objects.commit(image.commit)
        if root_checksum(commit.tree, commit.meta) != image.root:
            raise StoreError(
                f"the commit {image.commit} is not the image {image.root}",
                reason="object-damaged",
                hint="dolmen fsck",
            )

    def _name(self, image: Image) -> None:
        """Let the image's ref name its commit, durably."""
        ref = self.path / "repo/refs/heads/image" / image.root
        if self._ref(f"image/{image.root}") != image.commit:
            ref.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(ref, f"{image.commit}\n")

    def _transaction(self) -> Transaction:
        from dolmen.store.transaction import Transaction

        return Transaction(self.path / "repo", self.tmp)

    def _ref(self, name: str) -> Sha256 | None:
        """A ref's commit; None where the file is missing or what a power cut left of it."""
        try:
            text = (self.path / "repo/refs/heads" / name).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return Sha256(text) if _SHA256.fullmatch(text) else None
