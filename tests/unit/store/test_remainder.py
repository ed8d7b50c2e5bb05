"""A package's tree, made whole from an image's files and what it has beyond them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dolmen.store import Store
from dolmen.store.remainder import remainder
from dolmen.store.repo.examining import examiner
from dolmen.store.repo.reach import Reach
from dolmen.store.repo.repository import Repository
from tests.lib.debs import Link, make_deb
from tests.unit.store.conftest import Importer


class Case:
    """A package in one store, an image of it in another repository, and a store that is new."""

    def __init__(self, store: Store, bring: Importer, debs: Path, tmp_path: Path) -> None:
        deb = make_deb(
            debs,
            "hello",
            files={
                "usr/bin/hello": "a program",
                "usr/share/hello/data": b"\0data" * 1000,
                "usr/share/hello/link": Link("data"),
                "usr/share/doc/hello/README": "left out of the image",
                "etc/hello.conf": "changed in the image",
            },
            scripts={"postinst": "#!/bin/sh\ntrue\n"},
            conffiles=["/etc/hello.conf"],
        )
        self.package = bring(deb)
        self.store = store
        found = store.resolve(f"deb/{self.package.sha256}")
        assert found is not None
        self.commit = found
        with store.tree_builder() as builder:
            builder.merge_package(self.package.sha256)
            builder.remove("usr/share/doc/hello/README")
            builder.add_file("etc/hello.conf", b"changed")
            self.present = {checksum for _path, checksum in builder.files()}
            image = builder.commit()
        self.source = tmp_path / "elsewhere/repo"
        self.copy(image.commit)
        self.other = Store.open(tmp_path / "new")

    def copy(self, commit: str) -> None:
        """The image alone."""
        here = Repository(self.store.path / "repo")
        reach = Reach(here)
        reach.commit(commit)
        (self.source / "tmp").mkdir(parents=True)
        shutil.copy(f"{here.path}/config", self.source)
        for checksum, kind in reach.objects():
            place = Path(Repository(self.source).place(checksum, kind))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here.place(checksum, kind), place)

    def left(self) -> bytes:
        return remainder(Repository(self.store.path / "repo"), self.commit, self.present)

    def restored(self, data: bytes) -> int:
        return self.other.restore_packages([(self.package.sha256, data)], self.source)


@pytest.fixture
def case(store: Store, bring: Importer, debs: Path, tmp_path: Path) -> Case:
    return Case(store, bring, debs, tmp_path)


def test_a_package_is_restored_as_it_was_imported(case: Case) -> None:
    left = case.left()
    assert b"left out of the image" in left
    assert b"changed in the image" in left
    assert b"a program" not in left
    assert case.restored(left) == 1
    assert case.other.has_package(case.package.sha256)
    assert case.other.package(case.package.sha256) == case.package
    assert case.other.resolve(f"deb/{case.package.sha256}") == case.commit
    repository = Repository(case.other.path / "repo")
    reach = Reach(repository)
    reach.commit(case.commit)
    examine = examiner(repository)
    assert [name for name in reach.objects() if examine(name)] == []


def test_the_same_remainder_each_time(case: Case) -> None:
    assert case.left() == case.left()


@pytest.mark.parametrize("size", [0, 10, 85, 400, -1])
def test_one_that_ends_early_restores_nothing(case: Case, size: int) -> None:
    left = case.left()
    assert case.restored(left[:size]) == 0
    assert not case.other.has_package(case.package.sha256)
    assert case.restored(left) == 1


def test_what_is_not_what_its_name_says_restores_nothing(case: Case) -> None:
    left = case.left()
    assert case.restored(left.replace(b"left out", b"left in!")) == 0
    assert case.restored(left.replace(b"dolmen-remainder 1", b"dolmen-remainder 2")) == 0
    assert not case.other.has_package(case.package.sha256)


def test_an_image_that_lacks_a_file_restores_nothing(case: Case) -> None:
    repository = Repository(case.source)
    data = next(c for c in case.present if len(_bytes(repository, c)) == 5000)
    os.unlink(repository.place(data, "file"))
    assert case.restored(case.left()) == 0
    assert not case.other.has_package(case.package.sha256)


def test_a_damaged_file_of_the_image_restores_nothing(case: Case) -> None:
    repository = Repository(case.source)
    data = next(c for c in case.present if len(_bytes(repository, c)) == 5000)
    place = Path(repository.place(data, "file"))
    place.chmod(0o644)
    place.write_bytes(b"\0DATA" * 1000)
    assert case.restored(case.left()) == 0
    assert not case.other.has_package(case.package.sha256)


def _bytes(repository: Repository, checksum: str) -> bytes:
    return Path(repository.place(checksum, "file")).read_bytes()
