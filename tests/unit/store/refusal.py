"""Taking a .deb and refusing one, for the tests of hostile archives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from dolmen.model import LockedPackage, Sha256
from dolmen.store import Store
from dolmen.support.errors import PackageError
from tests.lib.debs import (
    Member,
    raw_deb,
    tar_member,
)

CONTROL = (
    b"Package: evil\nVersion: 1.0\nArchitecture: all\nMaintainer: N <n@example.org>\n"
    b"Installed-Size: 10\nDescription: x\n"
)
ROOT = tar_member("./", kind="d")
USR = tar_member("./usr/", kind="d")
BENIGN = [ROOT, USR, tar_member("./usr/file", b"content")]
CONTROL_MEMBERS = [ROOT, tar_member("./control", CONTROL)]


def entry(deb: Path) -> LockedPackage:
    content = deb.read_bytes()
    return LockedPackage(
        name="evil",
        version="1.0",
        architecture="all",
        sha256=Sha256(hashlib.sha256(content).hexdigest()),
        size=len(content),
        filename="pool/main/e/evil/evil_1.0_all.deb",
        release=0,
    )


def visible(store: Store) -> list[str]:
    """Every name in the repository and what is left in quarantine."""
    found = [str(p) for p in (store.path / "repo/objects").rglob("*") if p.is_file()]
    found += [str(p) for p in (store.path / "repo/refs").rglob("*") if p.is_file()]
    return found + [str(p) for p in store.tmp.iterdir()]


def refused(store: Store, deb: Path) -> str:
    """Import and return the reason of the refusal; asserts that nothing remains."""
    package = entry(deb)
    before = visible(store)
    with pytest.raises(PackageError) as caught:
        store.import_packages([(package, deb)])
    assert not store.has_package(package.sha256)
    assert visible(store) == before
    assert caught.value.exit_code == 6
    return caught.value.reason


def taken(store: Store, deb: Path) -> None:
    package = entry(deb)
    store.import_packages([(package, deb)])
    assert store.has_package(package.sha256)


def deb_of(
    directory: Path,
    data: Sequence[Member] | bytes,
    control: Sequence[Member] | bytes = CONTROL_MEMBERS,
    *,
    compression: str = "none",
) -> Path:
    return raw_deb(
        directory, "evil_1.0_all.deb", data=data, control=control, compression=compression
    )
