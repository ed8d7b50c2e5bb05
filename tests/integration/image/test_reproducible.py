"""One lock, one image: whatever the place, the clock, the company and the order."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dolmen import archive, image
from dolmen.image import Conditions
from dolmen.image.verify import compare, verify
from dolmen.model import Lock, Manifest, parse_spec
from dolmen.store import Store
from tests.lib.debs import make_deb

pytestmark = pytest.mark.network

#: Packages whose scripts have something to vary: byte-code, fonts, certificates, man pages, users.
PACKAGES = (
    *("python3", "fontconfig", "ca-certificates", "man-db", "libjson-xs-perl", "openssh-server"),
    *("dbus", "mime-support", "ssl-cert", "faketime"),
)


def _lock(suite: str, store: Store, packages: tuple[str, ...] = PACKAGES) -> Lock:
    names = tuple(
        parse_spec(name) for name in packages if suite != "trixie" or name != "mime-support"
    )
    return archive.solve(Manifest(suite, names), state=store.archive)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_built_twice_in_other_conditions(suite: str, shared_store: Store) -> None:
    result = verify(_lock(suite, shared_store), shared_store)
    assert result.differences == ()
    assert result.reproducible


def test_what_varies_is_named(
    lock_with: Callable[..., Lock], shared_store: Store, tmp_path: Path
) -> None:
    twin = make_deb(
        tmp_path / "twin", "steady", scripts={"postinst": "#!/bin/sh\necho 1 >/etc/steady\n"}
    )
    assert verify(lock_with(twin), shared_store).reproducible
    deb = make_deb(
        tmp_path / "bad",
        "restless",
        scripts={"postinst": "#!/bin/sh\ndate +%s%N >/etc/restless\nhostname >/etc/where\n"},
    )
    result = verify(lock_with(deb), shared_store)
    assert not result.reproducible
    assert [(d.path.lstrip("/"), d.what) for d in result.differences] == [
        ("etc/restless", "content"),
        ("etc/where", "content"),
    ]


def test_a_shifted_clock(shared_store: Store, store_dir: Path) -> None:
    """Most scripts of the extra packages see a clock of another year (the base has no faketime)."""
    lock = _lock("bookworm", shared_store)
    first = image.build(lock, shared_store)
    other = Store.open(store_dir)
    for package in lock.packages:
        source = shared_store.debs / f"{package.sha256}.deb"
        (other.debs / source.name).symlink_to(source)
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    conditions = Conditions({"LD_PRELOAD": library, "FAKETIME": "+500d", "NO_FAKE_STAT": "1"})
    second = image.build(lock, other, conditions=conditions)
    assert compare(shared_store, first, other, second) == ()
    assert first.root == second.root


def test_order_and_mirror_make_no_difference(shared_store: Store) -> None:
    lock = _lock("bookworm", shared_store, ("python3",))
    packages = list(lock.packages)
    random.Random(7).shuffle(packages)
    moved = tuple(replace(r, uri="http://elsewhere.invalid/debian", date="") for r in lock.releases)
    other = replace(lock, packages=tuple(packages), releases=moved)
    assert other.digest() == lock.digest()
    assert image.build(other, shared_store) == image.build(lock, shared_store)
