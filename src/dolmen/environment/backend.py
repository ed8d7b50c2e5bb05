"""The seam between environments and the rooms below: what operations need from them.

Operations take a `Backend`; the real one is in `rooms`, the tests have another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dolmen.model import Entrance, Lock, LockedPackage, Manifest, Sha256
from dolmen.support.events import Emit, ignore

if TYPE_CHECKING:
    from dolmen.image.verify import Verification
    from dolmen.model.package import LocalDeb


@dataclass(frozen=True, slots=True)
class Realised:
    """An image that lies in the file system, ready to be entered."""

    root: Sha256
    commit: Sha256
    tree: Path


class Backend(Protocol):
    """What operations on environments need."""

    def solve(
        self,
        manifest: Manifest,
        *,
        pins: Sequence[LockedPackage] = (),
        refresh: bool | None = None,
        local: Sequence[LocalDeb] = (),
        emit: Emit = ignore,
    ) -> Lock:
        """Find the closure; `pins` are versions to keep where possible, `local` .debs to have."""
        ...

    def provide(self, directory: Path, packages: Sequence[LockedPackage]) -> None:
        """Bring .debs that lie below a directory to where a build finds them."""
        ...

    def build(self, lock: Lock, *, emit: Emit = ignore) -> Realised:
        """Make (or find) the image of a lock and its realised tree."""
        ...

    def verify(self, lock: Lock, *, emit: Emit = ignore) -> Verification:
        """Build a lock's image again from nothing and compare."""
        ...

    def launcher(
        self, tree: Path, *, name: str, state: Path, entrance: Entrance | None = None
    ) -> str:
        """The text of the launcher that enters a realised tree; `name` shows in prompts.

        `state` is the `.dolmen` that it lies in: confined commands must not write there, but for
        what the entrance keeps.
        """
        ...

    def host_files(self, directory: Path, tree: Path) -> None:
        """Fill the directory beside the launcher with what it binds for the calling user."""
        ...

    def commands(self, tree: Path, lock: Lock) -> tuple[str, ...]:
        """The commands of an image that are offered on the host's PATH."""
        ...

    def register(self, directory: Path) -> str:
        """Keep what a directory's generations use from being collected; the root's name."""
        ...

    def registered(self, directory: Path) -> bool:
        """Whether the store knows the directory."""
        ...

    def forget(self, directory: Path) -> None:
        """Take back what `register` did."""
        ...

    def remember(self, directory: Path, image: Realised, lock: Lock) -> None:
        """Note what a registered directory is about to need, for when it cannot be read."""
        ...

    @property
    def store_path(self) -> Path:
        """Where the store lies, made or not."""
        ...

    def make_store(self) -> Path:
        """Make the store if it is not there yet; where it lies."""
        ...
