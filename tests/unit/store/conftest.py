"""A store of its own for every test, and a door for .debs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolmen.store import PackageTree, Store
from dolmen.support.files import remove_tree
from tests.lib.debs import lock_entry
from tests.unit.store.refusal import BENIGN, deb_of, taken

Importer = Callable[[Path], PackageTree]


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[Path]:
    """In memory where that has user attributes: durable writes wait for the whole disk."""
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    try:
        os.setxattr(directory, "user.dolmen", b"1")
        yield directory / "store"
    except OSError:
        yield tmp_path / "store"
    finally:
        remove_tree(directory)


@pytest.fixture
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture
def debs(tmp_path: Path) -> Path:
    """Where a test puts its .debs."""
    path = tmp_path / "debs"
    path.mkdir()
    return path


@pytest.fixture
def bring(store: Store) -> Importer:
    """Import one .deb as the lock would name it; returns its index."""

    def bring(deb: Path) -> PackageTree:
        package = lock_entry(deb)
        store.import_packages([(package, deb)])
        return store.package(package.sha256)

    return bring


@pytest.fixture
def _benign_twin(store: Store, debs: Path) -> None:
    """The same factory, the same door, nothing wrong: it must work before a refusal counts."""
    taken(store, deb_of(debs, BENIGN))
