"""The fake backend on a real store: images are real trees with changelogs, none is configured."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from dolmen.environment import Realised
from dolmen.environment.needs import needs_of
from dolmen.image import base_packages, image_key
from dolmen.image.build import base_key
from dolmen.model import Lock
from dolmen.store import Image, Store
from dolmen.support.events import Emit, ignore
from tests.lib.backend import FakeBackend


def changelog(name: str, version: str) -> str:
    """Every version that a test may ask about, newest first; each has a CVE of its own."""
    versions = [f"{number}.0" for number in range(int(version.partition(".")[0]), 0, -1)]
    return "\n".join(
        f"{name} ({one}) stable; urgency=high\n\n  * Fix CVE-2026-{one[0]}000.\n\n"
        f" -- T <t@example.org>  Mon, 01 Sep 2025 10:00:00 +0200\n"
        for one in versions
    )


class StoreBackend(FakeBackend):
    """Knows packages with versions N.0; each version of one differs in a program and in /etc."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, universe=dict.fromkeys(("jq", "curl", "python3"), "1.0"))
        self.store = Store.open(path)

    def build(self, lock: Lock, *, emit: Emit = ignore) -> Realised:
        self.step("build")
        base = self._image([p for p in lock.packages if p.essential])
        image = self._image(lock.packages)
        self.store.record_image(base_key(lock, base_packages(lock)), base)
        self.store.record_image(image_key(lock), image)
        return Realised(image.root, image.commit, self.store.realise(image))

    def _image(self, packages: Sequence[object]) -> Image:
        from dolmen.model import LockedPackage

        with self.store.tree_builder() as builder:
            for p in packages:
                assert isinstance(p, LockedPackage)
                doc = f"usr/share/doc/{p.name}"
                text = changelog(p.name, p.version).encode()
                builder.add_file(f"{doc}/changelog.Debian.gz", gzip.compress(text, mtime=0))
                builder.add_file(f"usr/bin/{p.name}", f"{p}\n".encode() * 500, mode=0o755)
                builder.add_file(f"etc/{p.name}.conf", f"same\nversion {p.version}\n".encode())
                info = f"var/lib/dpkg/info/{p.name}.conffiles"
                builder.add_file(info, f"/etc/{p.name}.conf\n".encode())
            return builder.commit()

    def register(self, directory: Path) -> str:
        self.step("register")
        return self.store.add_root(directory).name

    def registered(self, directory: Path) -> bool:
        return directory in self.store.roots()

    def forget(self, directory: Path) -> None:
        self.store.remove_root(directory)

    def remember(self, directory: Path, image: Realised, lock: Lock) -> None:
        self.step("remember")
        self.store.remember(directory, needs_of(image.root, lock))
