"""What `fsck` and `repair` say, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolmen.model.digest import digest_text
from dolmen.store import Store
from tests.unit.cli.conftest import Say


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("DOLMEN_STORE", str(tmp_path / "real"))
    found = Store.open()
    with found.tree_builder() as builder:
        builder.add_file("usr/bin/tool", b"tool", mode=0o755)
        image = builder.commit()
    found.realise(image)
    found.record_image(digest_text("key"), image)
    return found


def test_all_is_well(say: Say, store: Store) -> None:
    said = say("fsck")
    assert (said.code, said.out) == (0, "All is well: 6 objects, 1 realised tree\n")
    assert say("fsck", "--quick", "--json").json["whole"] is True
    assert say("repair").out == "All is well: nothing to repair\n"


def test_damage(say: Say, store: Store) -> None:
    (tree,) = store.trees.iterdir()
    tool = tree / "usr/bin/tool"
    tool.write_bytes(b"evil")
    said = say("fsck")
    assert said.code == 7
    assert "/usr/bin/tool" in said.err
    assert "dolmen repair --dry-run" in said.err
    for arguments in (("fsck",), ("fsck", "--quick")):
        said = say(*arguments, "--json")
        assert said.code == 7
        assert said.json["reason"] == "store-damaged"
        assert [fault["what"] for fault in said.json["faults"]] == ["content"]
    said = say("repair", "--dry-run")
    assert said.code == 7
    assert "no source is known" in said.out
    said = say("repair")
    assert said.code == 7
    assert "Mended 0 of 1 fault" in said.out
    assert tool.read_bytes() == b"evil"
    tool.write_bytes(b"tool")
    tool.chmod(0o700)
    assert say("repair").out == "Mended 1 of 1 fault\n"
    assert tool.stat().st_mode & 0o777 == 0o755
    assert say("fsck").code == 0


def test_a_made_up_name_is_printed_as_text(say: Say, store: Store) -> None:
    (store.trees / "x\x1b[31m").mkdir()
    said = say("fsck")
    assert said.code == 7
    assert "\x1b" not in said.err
