"""The newest images of a directory keep their refs."""

from __future__ import annotations

from pathlib import Path

from dolmen.model import Sha256
from dolmen.store import Store
from dolmen.system.keeping import KEPT, remember


def test_only_the_newest_images_keep_their_refs(store_dir: Path, tmp_path: Path) -> None:
    store = Store.open(store_dir)
    with store.tree_builder() as builder:
        builder.add_file("x", b"x")
        image = builder.commit("kept")
    keys = [Sha256(f"{number:064x}") for number in range(KEPT + 2)]
    notes = tmp_path / "systems"
    notes.write_text("not a key\n")
    for key in keys:
        store.name(f"system/{key}", image.commit)
        remember(notes, key, store)
    assert [key for key in keys if store.resolve(f"system/{key}")] == keys[2:]
    # one that is built again is the newest again
    assert remember(notes, keys[2], store) == ()
    assert notes.read_text().split()[-1] == keys[2]
    assert "kept" in store.refs()
