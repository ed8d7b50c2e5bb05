"""Images of the real Essential set and a few synthetic packages on top of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen import archive, image
from dolmen.model import Lock, Manifest
from dolmen.store import Store
from tests.lib.debs import lock_entry

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def shared_store(session_store: Path) -> Store:
    return Store.open(session_store)


@pytest.fixture(scope="session")
def essential(shared_store: Store) -> Lock:
    """The lock of an environment that asks for nothing."""
    return archive.solve(Manifest("bookworm"), state=shared_store.archive)


@pytest.fixture
def lock_with(essential: Lock, shared_store: Store) -> Callable[..., Lock]:
    """A lock of the Essential set and these .debs, which are put where downloads end up."""

    def make(*debs: Path) -> Lock:
        entries = [lock_entry(deb, requested=True) for deb in debs]
        for deb, entry in zip(debs, entries, strict=True):
            shutil.copyfile(deb, shared_store.debs / f"{entry.sha256}.deb")
        return replace(essential, packages=(*essential.packages, *entries))

    return make


@pytest.fixture
def built(lock_with: Callable[..., Lock], shared_store: Store) -> Build:
    """Build such an image; returns its tree."""

    def make(*debs: Path) -> Path:
        return shared_store.realise(image.build(lock_with(*debs), shared_store))

    return make
