"""One signer a session; an archive, its server and a state directory of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dolmen.archive import solve
from dolmen.model import Lock, Manifest, Source, parse_spec
from tests.lib.archive import ARCHITECTURE, Archive, Server, Signer, serve
from tests.lib.debs import make_deb

Solve = Callable[..., Lock]
Deb = Callable[..., Path]


@pytest.fixture(scope="session")
def signer() -> Iterator[Signer]:
    with Signer() as made:
        yield made


@pytest.fixture(scope="session")
def base_debs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """An Essential set in small: two packages and what one of them needs."""
    pool = tmp_path_factory.mktemp("base")
    essential = {"Essential": "yes"}
    return (
        make_deb(pool, "base-core", "1.0", ARCHITECTURE, fields=essential | {"Depends": "base-c"}),
        make_deb(pool, "base-shell", "1.0", ARCHITECTURE, fields=essential),
        make_deb(pool, "base-c", "1.0", ARCHITECTURE),
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path / "www") as running:
        yield running


@pytest.fixture
def deb(tmp_path: Path) -> Deb:
    """Make a .deb: deb("name", "version", Depends="…")."""

    def make(name: str, version: str = "1.0", architecture: str = "all", **fields: str) -> Path:
        named = {key.replace("_", "-"): value for key, value in fields.items()}
        return make_deb(tmp_path / "made", name, version, architecture, fields=named)

    return make


@pytest.fixture
def archive(server: Server, signer: Signer, base_debs: tuple[Path, ...], deb: Deb) -> Archive:
    """A published archive with the base and a package `hello` that needs `libhello`."""
    made = Archive(server.root / "debian", signer, f"{server.uri}/debian")
    made.add(*base_debs)
    made.add(deb("hello", Depends="libhello (>= 1.0)"), deb("libhello"))
    made.publish()
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def solved(archive: Archive, state: Path) -> Solve:
    """Solve names against the archive, fetching its index anew unless told otherwise."""

    def run(
        *names: str,
        sources: Sequence[Source] = (),
        suite: str = "stable",
        refresh: bool | None = True,
        where: Path = state,
        manifest: dict[str, Any] | None = None,
        **further: Any,
    ) -> Lock:
        wanted = Manifest(
            suite=suite,
            packages=tuple(parse_spec(name) for name in names),
            sources=tuple(sources) or (archive.source(suite),),
            architecture=ARCHITECTURE,
            **(manifest or {}),
        )
        return solve(wanted, state=where, refresh=refresh, **further)

    return run
