"""Which directories keep their images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dolmen.store.roots import add_root, is_root, list_roots, remove_root


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    path = tmp_path / "roots"
    path.mkdir()
    return path


def test_add_and_remove(roots: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two\nlines \udcff"
    assert list_roots(roots) == ()
    assert not is_root(roots, one)
    entry = add_root(roots, one)
    assert add_root(roots, one) == entry
    add_root(roots, two)
    assert is_root(roots, two)
    assert list_roots(roots) == (one, two)
    remove_root(roots, one)
    remove_root(roots, one)
    assert list_roots(roots) == (two,)


def test_a_directory_that_went_away_is_still_a_root(roots: Path, tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    add_root(roots, directory)
    shutil.rmtree(directory)
    assert list_roots(roots) == (directory,)


def test_another_directory_is_no_root(roots: Path, tmp_path: Path) -> None:
    entry = add_root(roots, tmp_path / "one")
    entry.unlink()
    entry.symlink_to(tmp_path / "two")
    assert not is_root(roots, tmp_path / "one")
