"""Locked packages and locks made up in a line."""

from __future__ import annotations

from dolmen.model import Lock, LockedPackage, ReleaseFile
from dolmen.model.digest import Sha256, digest_text

RELEASE = ReleaseFile("http://archive.invalid/debian", "test", digest_text("release"), "")


def locked(
    name: str,
    version: str = "1.0",
    architecture: str = "amd64",
    *,
    sha256: Sha256 | None = None,
    size: int = 1,
    essential: bool = False,
    requested: bool = False,
    multi_arch: str = "no",
    **fields: str,
) -> LockedPackage:
    """A package; `fields` are control fields with underscores for hyphens."""
    return LockedPackage(
        name=name,
        version=version,
        architecture=architecture,
        sha256=sha256 or digest_text(f"{name} {version} {architecture}"),
        size=size,
        filename=f"pool/{name}.deb",
        release=0,
        requested=requested,
        essential=essential,
        multi_arch=multi_arch,
        fields=tuple((key.replace("_", "-"), value) for key, value in fields.items()),
    )


def lock_of(*packages: LockedPackage) -> Lock:
    """A lock of these packages for amd64."""
    return Lock(
        suite="test",
        architectures=("amd64",),
        inputs=digest_text("inputs"),
        solver="none",
        releases=(RELEASE,),
        packages=packages,
    )
