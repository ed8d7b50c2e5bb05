"""The real archive, through the host's own sources."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from dolmen.archive import default_sources, fetch, solve
from dolmen.archive.configuration import source_set
from dolmen.model import Lock, Manifest, parse_lock, parse_spec, render_lock
from dolmen.support.clock import monotonic
from dolmen.support.errors import SolveError
from tests.lib.users import OrdinaryUser

pytestmark = pytest.mark.network

LARGE = (
    "build-essential openjdk-17-jre-headless r-base-core nodejs ruby postgresql "
    "texlive-latex-base git vim"
)


@pytest.fixture(scope="session")
def state(session_store: Path) -> Path:
    """Shared by all real tests of a session, as a store's is."""
    return session_store / "archive"


def solved(state: Path, suite: str, names: str, *, recommends: bool = False) -> Lock:
    packages = tuple(parse_spec(name) for name in names.split())
    return solve(Manifest(suite, packages, recommends=recommends), state=state)


@pytest.mark.parametrize(
    ("suite", "names", "recommends"),
    [
        ("bookworm", "python3 curl", False),
        ("trixie", "python3 curl", False),
        ("bookworm", LARGE, False),
        ("bookworm", "gnome-core", True),
    ],
)
def test_the_result_is_what_apt_would_install(
    state: Path, tmp_path: Path, suite: str, names: str, recommends: bool
) -> None:
    """The same files from the same places with the same hashes, under the same configuration."""
    lock = solved(state, suite, names, recommends=recommends)
    chosen = source_set(default_sources(suite), lock.architectures, state)
    essential = sorted(package.name for package in lock.packages if package.essential)
    options = {
        "APT::Install-Recommends": str(recommends).lower(),
        "Acquire::ForceHash": "SHA256",
        "Dir::Cache::pkgcache": str(tmp_path / "pkgcache.bin"),
    }
    argv = ["apt-get", "install", "-qq", "--print-uris"]
    argv += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(
        [*argv, *essential, *sorted(names.split())],
        env=chosen.environment(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    lines = re.findall(r"^'(\S+)' \S+ (\d+) SHA256:(\S+)$", done.stdout.decode(), re.MULTILINE)
    assert sorted((unquote(uri), size, sha256) for uri, size, sha256 in lines) == sorted(
        (f"{lock.releases[p.release].uri}{p.filename}", str(p.size), p.sha256)
        for p in lock.packages
    )
    assert parse_lock(render_lock(lock)) == lock


def test_a_warm_solve_is_quick(state: Path) -> None:
    """Generous, since the machine may be busy; bench/ measures."""
    solved(state, "bookworm", LARGE)
    started = monotonic()
    lock = solved(state, "bookworm", LARGE)
    assert len(lock.packages) > 250
    assert monotonic() - started < 6


def test_fetching(state: Path, session_store: Path) -> None:
    lock = solved(state, "bookworm", "hello")
    hello = [package for package in lock.packages if package.name in ("hello", "mawk")]
    found = dict(fetch(lock, hello, cache=session_store / "debs"))
    assert sorted(package.name for package in found) == ["hello", "mawk"]
    for package, path in found.items():
        done = subprocess.run(
            ["dpkg-deb", "-f", str(path), "Package"], capture_output=True, check=True, timeout=30
        )
        assert done.stdout.decode().strip() == package.name


@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("rigprep", "unknown-package", "dolmen install ripgrep"),
        ("numpy", "unknown-package", "dolmen install python3-numpy"),
        ("mail-transport-agent", "virtual-package", None),
        ("hello=99", "unknown-version", None),
        ("hello/forky", "unknown-suite", None),
    ],
)
def test_help_for_mistakes(state: Path, name: str, reason: str, hint: str | None) -> None:
    solved(state, "bookworm", "hello")
    with pytest.raises(SolveError) as caught:
        solved(state, "bookworm", name)
    assert caught.value.reason == reason
    assert hint in (None, caught.value.hint)


def test_what_cannot_be_had_together(state: Path) -> None:
    """exim4-base and postfix cannot share a system."""
    solved(state, "bookworm", "postfix")
    with pytest.raises(SolveError) as caught:
        solved(state, "bookworm", "postfix exim4 hello curl")
    assert caught.value.reason == "unsatisfiable"
    assert "postfix" in caught.value.message
    assert "exim4" in caught.value.message
    assert "hello" not in caught.value.message


@pytest.mark.root
def test_an_ordinary_user_solves_the_same(
    state: Path, ordinary_user: OrdinaryUser, installed_source: Path, public_directory: Path
) -> None:
    mine = solved(state, "bookworm", "python3 curl")
    place = public_directory / "their state"
    script = (
        "import os, sys; os.umask(0o077); sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from dolmen.archive import solve\n"
        "from dolmen.model import Manifest, parse_spec, render_lock\n"
        "m = Manifest('bookworm', (parse_spec('curl'), parse_spec('python3')))\n"
        "sys.stdout.write(render_lock(solve(m, state=Path(sys.argv[2]))))\n"
    )
    place.mkdir()
    place.chmod(0o777)
    argv = ["/usr/bin/python3", "-c", script, str(installed_source), str(place)]
    done = subprocess.run(
        ["runuser", "-u", ordinary_user.name, "--", "env", f"HOME={ordinary_user.home}", *argv],
        capture_output=True,
        timeout=120,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr.decode()
    theirs = parse_lock(done.stdout.decode())
    assert theirs.digest() == mine.digest()
    assert theirs.releases == mine.releases
