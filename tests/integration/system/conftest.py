"""A sysroot for each test, in memory where that is possible: libostree syncs a lot."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dolmen.support.files import remove_tree
from tests.lib.command import Dolmen
from tests.lib.sysroots import Lab, allow_deletion
from tests.system.lab import PACKAGES

MANIFEST = """\
suite = "bookworm"
packages = [{packages}]

[system]
hostname = "menhir"
kernel = "linux-image-cloud-amd64"
timezone = "Etc/UTC"
mask = ["apt-daily.timer"]

[[system.users]]
name = "ada"
uid = 1000
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDolmenDolmenDolmenDolmenDolmenDolmenDol a"]

[[system.files]]
path = "/etc/motd"
text = "Welcome.\\n"
"""


@dataclass(frozen=True, slots=True)
class BuiltSystem:
    """A real system image in the session's store; `directory` is what declares it."""

    dolmen: Dolmen
    directory: Path
    commit: str
    key: str
    kernel: str

    @property
    def repository(self) -> Path:
        """The OSTree repository that holds the commit."""
        assert self.dolmen.store is not None
        return self.dolmen.store / "repo"


@pytest.fixture(scope="session")
def system_image(
    installed_source: Path, session_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> BuiltSystem:
    """The packages of the machines in tests/system, so that both are configured once.

    Tests that use it need the real archive, and root. DOLMEN_TEST_LAB: as in tests/system.
    """
    kept = os.environ.get("DOLMEN_TEST_LAB")
    store = Path(kept) / "store" if kept else session_store
    directory = tmp_path_factory.mktemp("system")
    packages = ", ".join(f'"{name}"' for name in PACKAGES)
    (directory / "dolmen.toml").write_text(MANIFEST.format(packages=packages))
    dolmen = Dolmen(installed_source, directory, store)
    dolmen.ok("lock", timeout=900)
    made = dolmen.json("system", "build", timeout=1800)
    return BuiltSystem(dolmen, directory, made["commit"], made["key"], made["kernel"])


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A fresh sysroot with a state root and no deployment."""
    monkeypatch.setenv("OSTREE_SYSROOT_DEBUG", "")
    allow_deletion()
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="dolmen-lab-", dir=place))
    directory.chmod(0o755)
    yield Lab(directory)
    remove_tree(directory)
