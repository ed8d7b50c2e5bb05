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


@pytest.fixture(scope="module")
def dolmen(
    installed_source: Path, ordinary_user: OrdinaryUser, tmp_path_factory: pytest.TempPathFactory
) -> Dolmen:
    """With jq installed."""
    directory = tmp_path_factory.mktemp("repair")
    found = Dolmen(installed_source, directory, None).as_user(ordinary_user)
    found.ok("doctor")
    found.ok("install", "--dir", found.directory, "--suite", "bookworm", "jq")
    return found


def test_found_and_mended(dolmen: Dolmen, ordinary_user: OrdinaryUser) -> None:
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


def test_a_write_through_a_tree_is_met(dolmen: Dolmen, ordinary_user: OrdinaryUser) -> None:
    """By the next entry, where it is to what starts; before it spreads, wherever it is."""
    tree = Path(os.readlink(dolmen.directory / ".dolmen/current/tree"))
    assert dolmen.ok("run", "jq", "-n", "1") == "1\n"
    for path in ("usr/bin/jq", "usr/bin/env"):
        done = ordinary_user.run(["sh", "-c", f"echo >> {tree / path}"])
        assert done.ok, done.stderr
        entered = dolmen("run", "jq", "-n", "1")
        assert entered.returncode == 125
        assert str(tree / path).encode() in entered.stderr
        assert b"dolmen repair" in entered.stderr
        dolmen.ok("repair")
        assert dolmen.ok("run", "jq", "-n", "1") == "1\n"
    # A file that no command starts with: entered, but not taken into another tree.
    assert ordinary_user.run(["sh", "-c", f"echo >> {tree / 'etc/services'}"]).ok
    assert ordinary_user.run(["sh", "-c", f"echo >> {tree / 'etc/debian_version'}"]).ok
    assert dolmen.ok("run", "jq", "-n", "1") == "1\n"
    refused = dolmen("install", "hello", "--json")
    assert refused.returncode == 7
    error = json.loads(refused.stdout.splitlines()[-1])["error"]
    assert (error["reason"], error["hint"]) == ("object-damaged", "dolmen repair")
    dolmen.ok("repair")
    dolmen.ok("repair", "--forget")
    dolmen.ok("install", "hello")
    assert dolmen.ok("run", "hello") == "Hello, world!\n"
    assert dolmen.json("fsck")["whole"] is True
