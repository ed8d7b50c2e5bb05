"""The real backend: archive, store, image and sandbox, joined on one store.

Each is imported only when it is used, because most commands need none of the heavy ones (gi,
apt_pkg).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dolmen.environment.backend import Realised
from dolmen.model import Entrance, Lock, LockedPackage, Manifest
from dolmen.support.events import Emit, ignore

if TYPE_CHECKING:
    from dolmen.image.verify import Verification
    from dolmen.model.package import LocalDeb
    from dolmen.store import Store


class Rooms:
    """The real backend, on one store."""

    def __init__(self, store_path: Path | None = None) -> None:
        self._path = store_path
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The store, opened (and made) on first use; no collection until the process ends."""
        return self._opened(ignore)

    def _opened(self, emit: Emit) -> Store:
        if self._store is None:
            from dolmen.store import Store

            store = Store.open(self._path)
            store.lease(emit=emit)
            self._store = store
        return self._store

    def solve(
        self,
        manifest: Manifest,
        *,
        pins: Sequence[LockedPackage] = (),
        refresh: bool | None = None,
        local: Sequence[LocalDeb] = (),
        emit: Emit = ignore,
    ) -> Lock:
        """Solve with apt, in a worker process."""
        from dolmen.archive import solve

        state = self._opened(emit).archive
        return solve(manifest, state=state, refresh=refresh, emit=emit, pins=pins, local=local)

    def provide(self, directory: Path, packages: Sequence[LockedPackage]) -> None:
        """Copy them into the cache of .debs, checked."""
        from dolmen.environment.placing import bring

        for package in packages:
            # also where it was imported: a second build, elsewhere, may want it (`verify`)
            if not (self.store.debs / f"{package.sha256}.deb").exists():
                bring(directory, package, self.store.debs)

    def build(self, lock: Lock, *, emit: Emit = ignore) -> Realised:
        """Build, unless the store has the image already."""
        from dolmen.image import build

        image = build(lock, self._opened(emit), emit=emit)
        if not (self.store.trees / image.root).is_dir():
            self.store.realise(image, emit=emit)
        return Realised(image.root, image.commit, self.store.trees / image.root)

    def verify(self, lock: Lock, *, emit: Emit = ignore) -> Verification:
        """Build in another store, in other conditions."""
        from dolmen.image.verify import verify

        return verify(lock, self.store, emit=emit)

    def launcher(
        self, tree: Path, *, name: str, state: Path, entrance: Entrance | None = None
    ) -> str:
        """The sandbox room's plain-sh launcher; without its tree it asks us to make it again."""
        import shlex

        from dolmen.environment.persisting import PERSIST
        from dolmen.sandbox import launcher

        # The launcher lies in DIRECTORY/.dolmen/generations/N, by whatever link it is reached.
        again = (
            f'dolmen --store {shlex.quote(str(self.store_path))} -C "$dolmen_here/../../.." shell'
        )
        entrance = entrance or Entrance()
        return launcher(
            tree,
            name=name,
            fallback=again,
            shell_environment=dict(entrance.variables),
            store=self.store_path,
            guarded=(state,),
            aliases=bool(entrance.aliases),
            persist={path: state / PERSIST / path.lstrip("/") for path in entrance.persist},
        )

    def host_files(self, directory: Path, tree: Path) -> None:
        """The caller's lines in passwd and group, and the seccomp filters."""
        from dolmen.sandbox import host_files

        host_files(directory, tree)

    def commands(self, tree: Path, lock: Lock) -> tuple[str, ...]:
        """Read from the realised tree."""
        from dolmen.environment.commands import commands

        return commands(tree, lock)

    def register(self, directory: Path) -> str:
        """Add the store's root for this directory."""
        return self.store.add_root(directory).name

    def registered(self, directory: Path) -> bool:
        """Look for the store's root; the store is not opened, and must be ours."""
        from dolmen.store import is_root

        roots = self.store_path / "roots"
        try:
            ours = roots.stat().st_uid == os.geteuid()
        except OSError:
            return False
        return ours and is_root(roots, directory)

    def forget(self, directory: Path) -> None:
        """Remove the store's root."""
        from dolmen.store import Store

        # No lease: nothing is made, and the collector itself forgets what has expired.
        (self._store or Store.open(self._path)).remove_root(directory)

    def remember(self, directory: Path, image: Realised, lock: Lock) -> None:
        """Extend what the store remembers of the directory."""
        from dolmen.environment.needs import needs_of

        self.store.remember(directory, needs_of(image.root, lock))

    @property
    def store_path(self) -> Path:
        """The store's directory; nothing is opened or made."""
        from dolmen.store import store_path

        return store_path(self._path)

    def make_store(self) -> Path:
        """Open the store, which makes it."""
        return self.store.path
