"""Values of the model as hypothesis draws them."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from dolmen.model.digest import Sha256
from dolmen.model.lock import Lock
from dolmen.model.package import LockedPackage, ReleaseFile
from dolmen.model.spec import Spec

NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,12}", fullmatch=True)
ARCHITECTURES = st.sampled_from(["amd64", "arm64", "i386", "riscv64", "all", "hurd-i386"])
VERSIONS = st.from_regex(r"([0-9]{1,2}:)?[A-Za-z0-9][A-Za-z0-9.+~-]{0,12}", fullmatch=True)
SUITES = st.sampled_from(["bookworm", "trixie", "sid", "bookworm-updates", "stable/updates"])
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64).map(Sha256)
#: Text as a hostile archive may send it, without what a stanza cannot hold.
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30).map(
    lambda text: text.strip(" ")
)
WORDS = st.text(string.ascii_letters + string.digits + " _-,:+%ä\u2028\xa0", max_size=20)

SPECS = st.one_of(
    st.builds(Spec, NAMES, st.none() | ARCHITECTURES, VERSIONS, st.none()),
    st.builds(Spec, NAMES, st.none() | ARCHITECTURES, st.none(), st.none() | st.just("trixie")),
)

RELEASES = st.builds(
    ReleaseFile,
    uri=st.sampled_from(["http://a.example/debian", "file:/srv/x", "https://b.example/y/"]),
    suite=SUITES,
    sha256=DIGESTS,
    date=WORDS,
    codename=WORDS,
    origin=WORDS,
)


def packages(releases: int) -> st.SearchStrategy[LockedPackage]:
    """A locked package whose `release` is one of so many."""
    groups = st.lists(st.sampled_from(["dev", "docs", "x.y"]), unique=True).map(tuple)
    relations = st.lists(NAMES, min_size=1, max_size=3).map(", ".join)
    found = st.builds(
        LockedPackage,
        name=NAMES,
        version=VERSIONS,
        architecture=ARCHITECTURES,
        sha256=DIGESTS,
        size=st.integers(1, 10**12),
        filename=st.lists(NAMES, min_size=1, max_size=4).map("/".join),
        release=st.integers(-1, releases - 1),
        requested=st.booleans(),
        essential=st.booleans(),
        multi_arch=st.sampled_from(["no", "same", "foreign", "allowed"]),
        source=st.one_of(st.just(""), NAMES, st.builds("{} ({})".format, NAMES, VERSIONS)),
        installed_size=st.integers(0, 10**9),
        groups=groups,
        fields=st.tuples(relations, LINES).map(
            lambda pair: tuple(
                (name, value)
                for name, value in zip(("Depends", "Description"), pair, strict=True)
                if value
            )
        ),
    )
    return st.builds(
        lambda package, asking: replace(package, asking=asking if package.requested else ()),
        found,
        groups,
    )


@st.composite
def locks(draw: Any) -> Lock:
    """A whole lock; its packages sorted as the file has them."""
    releases = draw(st.lists(RELEASES, min_size=1, max_size=3))
    found = draw(
        st.lists(packages(len(releases)), max_size=5, unique_by=lambda package: package.key)
    )
    return Lock(
        suite=draw(SUITES),
        architectures=tuple(draw(st.lists(ARCHITECTURES, min_size=1, max_size=2, unique=True))),
        inputs=draw(DIGESTS),
        solver="apt 2.6.1",
        releases=tuple(releases),
        packages=tuple(sorted(found, key=lambda package: package.key)),
        snapshots=draw(st.sampled_from([(), (("14d", "20260131T000000Z"),)])),
    )
