"""The partition table, judged by sfdisk."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from dolmen.support.errors import UsageError
from dolmen.system.disk import gpt
from dolmen.system.disk.layout import DiskOptions, Names, divide
from tests.lib.disks import MIB, run


@pytest.mark.parametrize("size", [0, 4000 * MIB + 512, 3_000_000 * MIB])
def test_sfdisk_finds_nothing_wrong(tmp_path: Path, size: int) -> None:
    names = Names("key")
    layout = divide(DiskOptions(size=size), names, 900 * MIB)
    disk = tmp_path / "disk"
    front, back = gpt.tables(layout.size, names.identity("disk"), layout.partitions)
    with disk.open("wb") as stream:
        stream.write(gpt.protective_mbr(layout.size) + front)
        stream.seek(layout.size - len(back))
        stream.write(back)
    assert "No errors detected" in run("sfdisk", "--verify", disk)
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    assert table["label"] == "gpt"
    assert uuid.UUID(table["id"]) == names.identity("disk")
    found = [(part["name"], uuid.UUID(part["type"])) for part in table["partitions"]]
    assert found == [
        ("bios", gpt.BIOS_BOOT),
        ("esp", gpt.EFI_SYSTEM),
        ("boot", gpt.EXTENDED_BOOT),
        ("root", gpt.ROOT["amd64"]),
    ]
    assert table["partitions"][3]["attrs"] == "GUID:59"
    assert all(part["start"] % 2048 == 0 for part in table["partitions"])


def test_names_depend_on_the_seed_alone() -> None:
    one, same, other = Names("key\0"), Names("key\0"), Names("key\0seed")
    assert one.identity("root") == same.identity("root")
    assert one.identity("root") != one.identity("boot")
    assert one.identity("root") != other.identity("root")
    assert one.identity("root").version == 4


def test_a_disk_too_small_is_refused() -> None:
    for options, whole in ((DiskOptions(size=1024 * MIB), 0), (DiskOptions(), 1024 * MIB)):
        assert divide(options, Names("key"), 300 * MIB, whole).size == 1024 * MIB
        with pytest.raises(UsageError) as caught:
            divide(options, Names("key"), 900 * MIB, whole)
        assert caught.value.reason == "disk-too-small"
    with pytest.raises(UsageError) as caught:
        divide(DiskOptions(architecture="vax"), Names("key"), 1)
    assert caught.value.reason == "unknown-architecture"
