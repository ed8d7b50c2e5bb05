"""Packages as a lock knows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from dolmen.model.digest import Sha256

#: In place of the number of a Release file.
LOCAL = -1


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One exact .deb of a solved closure; `fields` are further control fields, in their order.

    `filename` is relative to the archive's root (the pool path), `size` counts bytes of the .deb,
    `installed_size` KiB as in the control file. `release` indexes the lock's Release files, or is
    LOCAL for a .deb beside the manifest: then `filename` is its path from there. `groups`: those
    that alone need it (empty: everybody does). `asking`: the groups that alone have it requested
    (empty: where it is requested, it is by everybody).
    """

    name: str
    version: str
    architecture: str
    sha256: Sha256
    size: int
    filename: str
    release: int
    requested: bool = False
    essential: bool = False
    multi_arch: str = "no"
    source: str = ""
    installed_size: int = 0
    groups: tuple[str, ...] = ()
    asking: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it within one lock: name and architecture."""
        return (self.name, self.architecture)

    @property
    def is_local(self) -> bool:
        """Whether it is a .deb beside the manifest, and not an archive's."""
        return self.release == LOCAL

    def get(self, name: str) -> str:
        """A further control field ("Depends", "Provides", …), empty where it has none."""
        wanted = name.lower()
        return next((value for key, value in self.fields if key.lower() == wanted), "")

    def __str__(self) -> str:
        return f"{self.name}:{self.architecture}={self.version}"


@dataclass(frozen=True, slots=True)
class LocalDeb:
    """A .deb beside the manifest: its path from there, and what it is."""

    path: str
    sha256: Sha256
    size: int
    control: str


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One Release file a lock was solved against."""

    uri: str
    suite: str
    sha256: Sha256
    date: str
    codename: str = ""
    origin: str = ""
