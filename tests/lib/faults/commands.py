"""The commands that run under faults, in a child of the zygote.

`dolmen` is the whole command line, as `python3 -m dolmen` runs it. Packages come from the pool of
the fake archive and images hold what these have (no maintainer scripts: they would take seconds for
each point); all that lies beneath is real.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dolmen import archive
from dolmen.cli.main import main
from dolmen.cli.quick import quick
from dolmen.cli.session import Session
from dolmen.environment import repairing
from dolmen.environment.backend import Realised
from dolmen.environment.rooms import Rooms
from dolmen.image import image_key
from dolmen.model import Entrance, Lock, LockedPackage, Manifest
from dolmen.model.package import LocalDeb
from dolmen.store import Image, Store
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, ignore
from tests.lib.backend import LAUNCHER
from tests.lib.damage import StoreBackend, build

#: Where the pool lies, as a variable of the command's environment.
POOL = "DOLMEN_TEST_POOL"


def dolmen(arguments: Sequence[str]) -> int:
    """One command line."""
    Session.backend = lambda self: LocalRooms(self.store)  # type: ignore[method-assign]
    repairing._build = _build_spare  # type: ignore[assignment]
    archive.fetch = _unreachable  # type: ignore[assignment]
    code = quick(arguments)
    return main(arguments) if code is None else code


class LocalRooms(Rooms):
    """The real rooms, but for the archive and the sandbox."""

    def solve(
        self,
        manifest: Manifest,
        *,
        pins: Sequence[LockedPackage] = (),
        refresh: bool | None = None,
        local: Sequence[LocalDeb] = (),
        emit: Emit = ignore,
    ) -> Lock:
        """The fake archive's."""
        fake = StoreBackend(self.store.path)
        if manifest.suite != "bookworm":
            fake.universe = {name: f"{version}.1" for name, version in fake.universe.items()}
        return fake.solve(manifest, pins=pins, refresh=refresh, local=local, emit=emit)

    def build(self, lock: Lock, *, emit: Emit = ignore) -> Realised:
        """What the packages hold, laid over each other."""
        store = self._opened(emit)
        image = store.image(image_key(lock))
        if image is None:
            image = build(store, lock, Path(os.environ[POOL]))
        return Realised(image.root, image.commit, store.realise(image, emit=emit))

    def launcher(
        self, tree: Path, *, name: str, state: Path, entrance: Entrance | None = None
    ) -> str:
        """One that starts the command on the host."""
        return LAUNCHER.format(tree=tree)

    def host_files(self, directory: Path, tree: Path) -> None:
        """None are needed."""
        directory.mkdir()


def _unreachable(*_given: object, **_named: object) -> None:
    raise ArchiveError("the archive cannot be reached", reason="fetch-failed")


def _build_spare(lock: Lock, spare: Store, emit: Emit) -> Image:
    if not Path(os.environ[POOL]).is_dir():
        _unreachable()
    return build(spare, lock, Path(os.environ[POOL]))
