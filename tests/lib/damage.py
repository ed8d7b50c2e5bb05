"""Small stores to be damaged: real objects, refs and trees, made without maintainer scripts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dolmen.environment import Environment, Realised, install
from dolmen.environment.checking import check
from dolmen.environment.needs import needs_of
from dolmen.image.build import image_key
from dolmen.model import Lock, LockedPackage, parse_spec
from dolmen.store import Image, Store
from dolmen.support.events import Emit, ignore
from dolmen.support.files import write_atomic
from tests.lib.backend import FakeBackend
from tests.lib.debs import lock_entry, make_deb


def deb_of(directory: Path, name: str, version: str) -> Path:
    """The .deb that a package of the fake archive has."""
    files = {f"usr/bin/{name}": f"#!/bin/sh\necho {name} {version}\n", f"etc/{name}": ""}
    return make_deb(directory, name, version, "amd64", files=files)


@dataclass
class StoreBackend(FakeBackend):
    """The fake with a real store: its packages are .debs, its images are what these hold."""

    @property
    def store(self) -> Store:
        return Store.open(self.store_path)

    def package(self, name: str, version: str, *, requested: bool) -> LockedPackage:
        deb = deb_of(self.store_path.parent / "pool", name, version)
        return replace(
            lock_entry(deb), requested=requested, essential=name == "base-files", fields=()
        )

    def build(self, lock: Lock, *, emit: Emit = ignore) -> Realised:
        image = build(self.store, lock, self.store_path.parent / "pool")
        return Realised(image.root, image.commit, self.store.trees / image.root)

    def register(self, directory: Path) -> str:
        return self.store.add_root(directory).name

    def registered(self, directory: Path) -> bool:
        return directory in self.store.roots()

    def remember(self, directory: Path, image: Realised, lock: Lock) -> None:
        self.store.remember(directory, needs_of(image.root, lock))


def build(store: Store, lock: Lock, pool: Path) -> Image:
    """An image of a lock: its packages laid over each other, and a file beside them."""
    for package in lock.packages:
        deb = store.debs / f"{package.sha256}.deb"
        if not deb.exists():
            source = deb_of(pool, package.name, package.version)
            write_atomic(deb, source.read_bytes())
        store.import_packages([(package, deb)])
    with store.tree_builder() as builder:
        for package in lock.packages:
            builder.merge_package(package.sha256)
        builder.add_file("var/made", f"by the scripts of {len(lock.packages)}".encode())
        builder.add_file("var/lib/dpkg/status", _status(lock).encode())
        builder.add_file("usr/bin/apt-get", b"", mode=0o755)
        image = builder.commit()
    store.realise(image)
    store.record_image(image_key(lock), image)
    return image


def _status(lock: Lock) -> str:
    """What dpkg would have on record."""
    return "".join(
        f"Package: {p.name}\nStatus: install ok installed\nArchitecture: amd64\n"
        f"Version: {p.version}\n\n"
        for p in lock.packages
    )


def installed(store: Store, directory: Path) -> Environment:
    """An environment with one generation, without a fault."""
    environment = Environment(directory)
    environment.directory.mkdir()
    install(
        environment,
        [parse_spec("jq")],
        backend=StoreBackend(store.path),
        command="install jq",
        create="bookworm",
    )
    assert check(store).faults == []
    return environment
