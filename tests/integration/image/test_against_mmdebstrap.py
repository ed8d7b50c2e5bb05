"""An image and what mmdebstrap makes of the same packages are the same, path by path.

`permitted.txt` holds each permitted difference with its reason; a line that permits nothing in
either set is a fault too, so the list cannot rot.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen import archive, image
from dolmen.model import Manifest, parse_spec
from dolmen.store import Store
from dolmen.support.files import remove_tree
from tests.lib.reference import differences, mmdebstrap, permitted, stanzas

pytestmark = [pytest.mark.network, pytest.mark.root]

LIST = permitted(Path(__file__).with_name("permitted.txt"))

SMALL = ("python3",)
LARGE = (
    *("systemd", "openssh-server", "build-essential", "git", "python3-requests", "fontconfig"),
    *("man-db", "cron", "rsyslog", "vim-tiny", "wamerican", "ca-certificates", "locales"),
    *("postgresql-common", "dbus", "libjson-xs-perl", "ruby", "imagemagick", "nginx-light"),
)


#: Files in which only the order of lines may differ; of user tables the names are compared.
LINE_SETS = (
    *("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/shells"),
    *("var/lib/dpkg/triggers/File", "var/lib/dpkg/diversions", "var/lib/ucf/hashfile"),
)


def _lines(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    if path.parent.name == "etc" and path.name != "shells":
        lines = [line.split(":", 1)[0] for line in lines]
    return sorted(lines)


@pytest.fixture(scope="module")
def used() -> set[str]:
    return set()


@pytest.fixture
def scratch() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="dolmen-reference-"))
    yield directory
    remove_tree(directory)


@pytest.mark.parametrize(("packages", "least"), [(SMALL, 80), (LARGE, 200)])
def test_same_tree(
    packages: tuple[str, ...], least: int, session_store: Path, scratch: Path, used: set[str]
) -> None:
    sources = archive.default_sources("bookworm")
    manifest = Manifest("bookworm", tuple(parse_spec(name) for name in packages), sources)
    store = Store.open(session_store)
    lock = archive.solve(manifest, state=store.archive)
    assert len(lock.packages) >= least
    tree = store.realise(image.build(lock, store))
    reference = scratch / "reference"
    mmdebstrap("bookworm", packages, sources, reference)

    ours = stanzas((tree / "var/lib/dpkg/status").read_text())
    theirs = stanzas((reference / "var/lib/dpkg/status").read_text())
    assert sorted(ours) == sorted(theirs)
    assert {p.name for p in lock.packages} == {key.split(":")[0] for key in ours}
    for key, fields in theirs.items():
        assert ours[key] == fields, key

    for name in LINE_SETS:
        one, two = reference / name, tree / name
        assert one.exists() == two.exists(), name
        if one.exists():
            assert _lines(one) == _lines(two), name

    unexplained = []
    for difference in differences(reference, tree):
        lines = [line for line in LIST if line.covers(difference)]
        used.update(line.pattern for line in lines)
        if not lines:
            unexplained.append(str(difference))
    assert unexplained == []


def test_no_line_of_the_list_is_without_use(used: set[str]) -> None:
    if not used:
        pytest.skip("the comparison did not run")
    assert [line.pattern for line in LIST if line.pattern not in used] == []
