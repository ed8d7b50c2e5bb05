"""An ordinary user's store with a real image: damaged, found, mended from .debs and the lock."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.lib.command import Dolmen
from tests.lib.users import OrdinaryUser

pytestmark = [pytest.mark.network, pytest.mark.root]

#: A write through the tree, what others' tools do to modes, and what a bad disk does.
HARM = r"""
set -e
tree=$(readlink .dolmen/current/tree)
[ -d "$tree" ]
store=${tree%/trees/*}
echo evil >> "$tree/usr/bin/jq"
echo evil >> "$tree/var/lib/dpkg/status"
chmod 777 "$tree/usr/bin/ls"
chmod 0 "$(find "$store/repo/objects/1a" -name '*.file' | head -n 1)"
rm -f "$store"/repo/objects/a[0-3]/*.dirtree
: > "$(find "$store/repo/objects" -name '*.commit' | sort | head -n 1)"
for ref in "$store"/repo/refs/heads/image/*; do : > "$ref"; done
"""


def test_found_and_mended(dolmen_command: Dolmen, ordinary_user: OrdinaryUser) -> None:
    dolmen = dolmen_command.as_user(ordinary_user)
    dolmen.ok("doctor")
    dolmen.ok("install", "--dir", dolmen.directory, "--suite", "bookworm", "jq")
    before = tree_of(dolmen)
    assert dolmen.json("fsck")["whole"] is True
    assert dolmen.json("fsck", "--quick")["whole"] is True
    done = ordinary_user.run(["sh", "-c", HARM], cwd=dolmen.directory)
    assert done.ok, done.stderr
    for arguments in (("fsck",), ("fsck", "--quick"), ("repair", "--dry-run")):
        done = dolmen(*arguments, "--json")
        assert done.returncode == 7
        value = json.loads(done.stdout)
        faults = value.get("faults") or value["found"]
        mine = f"{dolmen.directory} generation 1"
        assert len(faults) > 10
        assert any(mine in fault["sufferers"] for fault in faults)
    found = dolmen.json("repair")
    assert found["left"] == []
    assert dolmen.json("fsck")["whole"] is True
    assert tree_of(dolmen) == before
    assert dolmen.ok("run", "jq", "-n", "1 + 1") == "2\n"
    assert dolmen.json("repair")["found"] == []


def tree_of(dolmen: Dolmen) -> dict[str, tuple[int, int]]:
    """Modes and sizes of the live tree."""
    tree = Path(os.readlink(dolmen.directory / ".dolmen/current/tree"))
    return {
        str(path.relative_to(tree)): (path.lstat().st_mode, path.lstat().st_size)
        for path in tree.rglob("*")
        if not path.is_dir()
    }
