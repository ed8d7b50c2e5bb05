"""A system and what mmdebstrap makes of the same packages: owners, modes, special bits, targets.

Contents are compared for environments (tests/integration/image), whose trees systems share.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen import archive
from dolmen.model import Sha256, parse_lock
from dolmen.store import Store
from tests.lib.command import Dolmen
from tests.lib.deployed import differences, of_commit, of_tree
from tests.lib.reference import mmdebstrap, permitted
from tests.system.lab import Lab

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.long, pytest.mark.timeout(1800)]

LIST = permitted(Path(__file__).with_name("permitted.txt"))


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where devices may be made, which mmdebstrap does."""
    directory = Path(tempfile.mkdtemp(prefix="dolmen-reference-"))
    yield directory
    shutil.rmtree(directory)


def test_owners_modes_and_targets(lab: Lab, in_lab: Dolmen, scratch: Path) -> None:
    assert in_lab.store is not None
    store = Store.open(in_lab.store)
    lab.copy_first(scratch)
    lock = parse_lock((scratch / "dolmen.lock").read_text())
    tree = scratch / "tree"
    names = [package.name for package in lock.packages]
    mmdebstrap(lock.suite, names, archive.default_sources(lock.suite), tree)
    theirs, ours = of_tree(tree), of_commit(store, Sha256(lab.first))
    # What makes the comparison worth it is there on both sides.
    for path, seen in theirs.items():
        if seen.kind == "f" and (seen.capable or seen.mode & 0o6000):
            assert ours[path] == seen, path
    assert any(seen.mode & 0o4000 for seen in theirs.values())
    found = differences(theirs, ours)
    unexplained = [str(one) for one in found if not any(line.covers(one) for line in LIST)]
    assert unexplained == []
