"""Fixtures that every part of the suite may use.

Tests that need root or the real archive say so by a marker; without root, or with `--offline`,
they are skipped with a reason that pytest counts. Directories that an ordinary user must reach are
made outside pytest's own base directory, which is private to whoever runs the suite.
"""

from __future__ import annotations

import compileall
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.support.files import remove_tree
from tests.lib.command import Dolmen
from tests.lib.users import OrdinaryUser, create_user, delete_user

CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--offline", action="store_true", help="skip the tests that need the real Debian archive"
    )
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_root = pytest.mark.skip(reason="needs root")
    no_network = pytest.mark.skip(reason="needs the real archive (--offline was given)")
    too_long = pytest.mark.skip(reason="takes minutes: make check-system")
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(too_long)
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(no_root)
        if item.get_closest_marker("network") and config.getoption("--offline"):
            item.add_marker(no_network)


@pytest.fixture(autouse=True)
def _no_dolmen_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's own settings and store never leak into a test."""
    for name in list(os.environ):
        if name.startswith(("DOLMEN_", "_DOLMEN_")) or name == "SOURCE_DATE_EPOCH":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """What is about to become another program restores the default of SIGPIPE; tests survive it."""
    numbers = (signal.SIGPIPE, signal.SIGXFSZ)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def public_directory() -> Iterator[Path]:
    """A scratch directory of the session that every user can reach."""
    directory = Path(tempfile.mkdtemp(prefix="dolmen-tests-"))
    directory.chmod(0o755)
    yield directory
    remove_tree(directory)


@pytest.fixture(scope="session")
def installed_source(public_directory: Path) -> Path:
    """A byte-compiled copy of `src/` that every user can read, wherever the checkout lies."""
    source = public_directory / "src"
    shutil.copytree(
        CHECKOUT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for path in (source, *source.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)
    compileall.compile_dir(source, quiet=1)
    return source


@pytest.fixture(scope="session")
def session_store() -> Iterator[Path]:
    """The store that tests against the real archive share, so that nothing is fetched twice."""
    directory = Path(tempfile.mkdtemp(prefix="dolmen-store-"))
    yield directory / "store"
    remove_tree(directory)


@pytest.fixture
def store_dir(tmp_path: Path) -> Path:
    """Where a test may make a store of its own; nothing is there yet."""
    return tmp_path / "store"


@pytest.fixture
def dolmen_command(installed_source: Path, store_dir: Path, tmp_path: Path) -> Dolmen:
    """The `dolmen` command as a user types it, in an empty directory with a store of its own."""
    directory = tmp_path / "project"
    directory.mkdir()
    return Dolmen(installed_source, directory, store_dir)


@pytest.fixture
def archive_command(installed_source: Path, session_store: Path, tmp_path: Path) -> Dolmen:
    """The same with the session's shared store: for tests against the real archive."""
    directory = tmp_path / "project"
    directory.mkdir()
    return Dolmen(installed_source, directory, session_store)


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    """An account without privileges or subordinate ids, made for this session."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make an account")
    user = create_user()
    yield user
    delete_user(user)
