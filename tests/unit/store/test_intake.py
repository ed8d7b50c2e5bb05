"""Imports: what comes in whole, and each way to be refused with nothing changed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dolmen.store.history import oci, references, revisions
from dolmen.store.history.importing import Imported, Incoming, import_tree
from dolmen.store.history.intake import Rules
from dolmen.store.history.packing import pack
from dolmen.store.history.repository import History
from dolmen.store.history.tree import Tree
from dolmen.support.errors import DolmenError

Member = tuple[str, str, str]  # name, kind, content or target
GOOD: Sequence[Member] = (
    ("./", "d", ""),
    ("./d/", "d", ""),
    ("./d/f", "f", "one"),
    ("./l", "l", "d/f"),
    ("./h", "h", "./d/f"),
)


@pytest.fixture
def history(tmp_path: Path) -> History:
    found = History.create(tmp_path / "repo", "archive")
    found.repo.set_disable_fsync(True)
    return found


def tar(members: Sequence[Member], **more: Any) -> bytes:
    kinds = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE}
    kinds |= {"h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE, "p": tarfile.FIFOTYPE}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, text in members:
            one = tarfile.TarInfo(name)
            one.type, one.mode = kinds[kind], 0o755 if kind == "d" else 0o644
            for key, value in more.items():
                setattr(one, key, value)
            if kind == "f":
                one.size = len(text.encode())
                archive.addfile(one, io.BytesIO(text.encode()))
            else:
                one.linkname = text if kind in "lh" else ""
                archive.addfile(one)
    return stream.getvalue()


def take(history: History, path: Path, **more: Any) -> Imported:
    return import_tree(history, Incoming(str(path), **more), "b", timestamp=1)


def files(history: History, revision: str = "b") -> dict[str, str]:
    tree = Tree(history, revisions.resolve(history, revision))
    return {
        entry.path[1:]: f"-> {entry.target}"
        if entry.target is not None
        else b"".join(tree.read(entry)).decode()
        for entry in tree.walk(tree.root)
        if not entry.is_directory
    }


def refused(history: History, act: Callable[[], object]) -> str:
    """The reason; and nothing has changed."""
    before = references.refs(history)
    with pytest.raises(DolmenError) as caught:
        act()
    assert references.refs(history) == before
    return caught.value.reason


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_tar_comes_in(history: History, tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", tar(GOOD, uid=7, gid=8))
    done = take(history, path)
    assert files(history) == {"d/f": "one", "l": "-> d/f", "h": "one"}
    entry = Tree(history, done.checksum).find("/d/f")
    assert (entry.uid, entry.gid, entry.mode) == (7, 8, 0o100644)
    assert not take(history, write(tmp_path / "y", gzip.compress(tar(GOOD, uid=7, gid=8)))).changed
    # Two members after each other, as pigz and eStargz write them.
    data = tar(GOOD, uid=7, gid=8)
    two = gzip.compress(data[:700]) + gzip.compress(data[700:])
    assert not take(history, write(tmp_path / "z", two)).changed
    owned = import_tree(history, Incoming(str(path), rules=Rules(0, 0)), "o")
    assert Tree(history, owned.checksum).find("/d/f").uid == 0


def test_what_a_tree_cannot_keep_is_told(history: History, tmp_path: Path) -> None:
    more = (("dev/null", "c", ""), ("pipe", "p", ""))
    done = take(history, write(tmp_path / "x", tar([*GOOD, *more])))
    assert done.taken.skipped == ["/dev/null", "/pipe"]
    done = take(history, write(tmp_path / "y", tar([("su", "f", "x")], mode=0o4755)))
    assert done.taken.privileged == ["/su"]
    headers = {"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.user.mine": "z"}
    done = take(history, write(tmp_path / "z", tar([("x", "f", "x")], pax_headers=headers)))
    assert Tree(history, done.checksum).find("/x").xattrs == (("user.mine", b"z"),)
    assert done.taken.attributes == 1


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("../x", "f", "x")], "unsafe-path"),
        ([("/etc/x", "f", "x")], "unsafe-path"),
        ([("a/./../../x", "f", "x")], "unsafe-path"),
        ([("a\nb", "f", "x")], "unsafe-path"),
        ([("l", "l", "/tmp"), ("l/f", "f", "x")], "unsafe-path"),
        ([("l", "l", "."), ("l/f", "d", "")], "unsafe-path"),
        ([("f", "f", "x"), ("f/g", "f", "x")], "unsafe-path"),
        ([("h", "h", "../outside")], "unsafe-path"),
        ([("h", "h", "later"), ("later", "f", "x")], "unsafe-path"),
        ([("d/f", "f", "x"), ("d", "f", "x")], "unsafe-path"),
        ([("d", "f", "x"), ("d/", "d", "")], "unsafe-path"),
        ([("a/" * 300 + "f", "f", "x")], "unsafe-path"),
    ],
)
def test_hostile_names(
    history: History, tmp_path: Path, members: Sequence[Member], reason: str
) -> None:
    take(history, write(tmp_path / "good", tar(GOOD)))
    path = write(tmp_path / "bad", tar([*GOOD[:1], *members]))
    assert refused(history, lambda: take(history, path)) == reason


def test_hostile_streams(history: History, tmp_path: Path) -> None:
    good = tar(GOOD)
    take(history, write(tmp_path / "good", good))
    packed = gzip.compress(good)
    bomb = gzip.compress(tar([("zero", "f", "\0" * (8 << 20))]))
    for data, reason in (
        (good[:700], "truncated"),
        (packed[:-9], "truncated"),
        (packed[:40] + b"xx" + packed[42:], "truncated"),
        (good[:150] + b"9" + good[151:], "bad-tar"),
        (b"nothing", "usage"),
        (b"", "usage"),
    ):
        path = write(tmp_path / "bad", data)
        assert refused(history, partial(take, history, path)) == reason
    path = write(tmp_path / "bomb", bomb)
    assert refused(history, lambda: take(history, path, limit=1 << 20)) == "too-large"
    take(history, path)


def test_a_directory_comes_in(history: History, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/f").write_text("one")
    (tree / "d/big").write_bytes(os.urandom(300_000))
    os.link(tree / "d/f", tree / "h")
    (tree / "out").symlink_to("/etc")
    os.mkfifo(tree / "fifo")
    done = take(history, tree)
    assert done.taken.skipped == ["/fifo"]
    found = Tree(history, done.checksum)
    assert found.find("/d/f").checksum == found.find("/h").checksum
    assert found.find("/out").target == "/etc"
    assert b"".join(found.read(found.find("/d/big"))) == (tree / "d/big").read_bytes()
    (tree / os.fsdecode(b"\xff")).write_text("x")
    assert refused(history, lambda: take(history, tree)) == "unsafe-path"


# Images of containers


class Image:
    """An OCI layout that a test may bend before it is written."""

    def __init__(self, *layers: bytes, packed: bool = True) -> None:
        self.blobs: dict[str, bytes] = {}
        self.diff_ids = [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]
        end = "+gzip" if packed else ""
        self.layers = [
            self.put(gzip.compress(one, mtime=0) if packed else one, f"{oci.LAYER_TYPE}{end}")
            for one in layers
        ]
        self.config: dict[str, Any] = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }
        self.manifest: dict[str, Any] = {"schemaVersion": 2, "layers": self.layers}
        self.index: dict[str, Any] = {"schemaVersion": 2}
        self.more: dict[str, Any] = {}

    def put(self, data: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    def seal(self) -> None:
        if "config" not in self.manifest:
            self.manifest["config"] = self.put(json.dumps(self.config).encode(), oci.CONFIG_TYPE)
        if "manifests" not in self.index:
            one = self.put(json.dumps(self.manifest).encode(), oci.MANIFEST_TYPE)
            self.index["manifests"] = [one | self.more]

    def directory(self, path: Path) -> Path:
        self.seal()
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (path / "index.json").write_text(json.dumps(self.index))
        for digest, data in self.blobs.items():
            (path / "blobs/sha256" / digest).write_bytes(data)
        return path


LOWER = tar(
    [
        *(("d/", "d", ""), ("d/gone", "f", "x"), ("d/stays", "f", "x")),
        *(("o/", "d", ""), ("o/old", "f", "x"), ("o/sub/", "d", ""), ("o/sub/old", "f", "x")),
        *(("t/", "d", ""), ("t/f", "f", "x"), ("f", "f", "x"), ("l", "l", "d")),
        ("all/deep/er", "f", "x"),
    ]
)
UPPER = tar(
    [
        *(
            ("d/.wh.gone", "f", ""),
            ("o/", "d", ""),
            ("o/new", "f", "n"),
            ("o/.wh..wh..opq", "f", ""),
        ),
        *((".wh.t", "f", ""), ("f/", "d", ""), ("f/x", "f", "x"), ("d/again", "h", "d/stays")),
        *((".wh.nothing", "f", ""), (".wh..wh.plnk", "f", ""), (".wh.all", "f", "")),
    ]
)


def test_layers_lie_over_each_other(history: History, tmp_path: Path) -> None:
    want = {"d/stays": "x", "d/again": "x", "o/new": "n", "f/x": "x", "l": "-> d"}
    done = take(history, Image(LOWER, UPPER).directory(tmp_path / "a"))
    assert done.layers == 2
    assert files(history) == want
    plain = take(history, Image(LOWER, UPPER, packed=False).directory(tmp_path / "b"))
    assert not plain.changed
    # And out again: the configuration is still there.
    pack(history, "b", tmp_path / "out", archive=False)
    index = json.loads((tmp_path / "out/index.json").read_text())
    blobs = tmp_path / "out/blobs/sha256"
    for path in blobs.iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    assert config["config"] == {"Cmd": ["/bin/true"]}
    layer = (blobs / manifest["layers"][0]["digest"][7:]).read_bytes()
    assert len(layer) == manifest["layers"][0]["size"]
    plain_digest = hashlib.sha256(gzip.decompress(layer)).hexdigest()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{plain_digest}"]
    pack(history, "b", tmp_path / "one.tar", compression="zstd")
    pack(history, "b", tmp_path / "two.tar", compression="zstd")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert not take(history, tmp_path / "one.tar").changed
    assert refused(history, lambda: pack(history, "b", tmp_path / "out", archive=False))


def test_a_choice_of_images(history: History, tmp_path: Path) -> None:
    image = Image(LOWER)
    image.seal()
    one = image.index["manifests"][0]
    other = Image(tar([("other", "f", "x")]))
    other.seal()
    image.blobs |= other.blobs
    names = ({"architecture": "s390x", "os": "linux"}, {"architecture": "riscv64", "os": "linux"})
    listed = [
        {**found, "platform": where, "annotations": {oci.REF_NAME: name}}
        for found, where, name in zip(
            (one, other.index["manifests"][0]), names, ("a", "b"), strict=True
        )
    ]
    inner = image.put(
        json.dumps({"schemaVersion": 2, "manifests": listed}).encode(), oci.INDEX_TYPE
    )
    image.index["manifests"] = [inner]
    path = image.directory(tmp_path / "i")
    take(history, path, platform="linux/s390x")
    assert "d/gone" in files(history)
    take(history, path, image="b")
    assert "other" in files(history)
    for more, reason in (
        ({"platform": "linux/arm64"}, "no-such-image"),
        ({"image": "c"}, "no-such-image"),
        ({}, "no-such-image"),
        ({"platform": "linux"}, "which-image"),
    ):
        assert refused(history, partial(take, history, path, **more)) == reason


def _blob(image: Image) -> None:
    image.seal()
    digest = image.layers[0]["digest"][7:]
    data = image.blobs[digest]
    image.blobs[digest] = data[:4] + b"\1" + data[5:]  # gzip's time stamp: it unpacks as before


def _config(image: Image) -> None:
    image.config["rootfs"]["diff_ids"] = [f"sha256:{'0' * 64}"]


def _size(image: Image) -> None:
    image.layers[0]["size"] += 1


def _both(image: Image) -> None:
    image.manifest["manifests"] = []


def _index(image: Image) -> None:
    image.index["layers"] = []


def _media(image: Image) -> None:
    image.layers[0]["mediaType"] = "application/x-sh"


def _escape(image: Image) -> None:
    image.layers[0]["digest"] = "sha256:../../../etc/passwd"


def _gone(image: Image) -> None:
    del image.blobs[image.layers[0]["digest"][7:]]


def _fewer(image: Image) -> None:
    image.config["rootfs"]["diff_ids"] = []


def _confused(image: Image) -> None:
    image.manifest["mediaType"] = oci.INDEX_TYPE


def _many(image: Image) -> None:
    image.manifest["layers"] = image.layers * 600
    image.config["rootfs"]["diff_ids"] = image.diff_ids * 600


def _cycle(image: Image) -> None:
    image.index["manifests"] = []
    value: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
    for _ in range(8):
        value["manifests"] = [image.put(json.dumps(value).encode(), oci.INDEX_TYPE)]
    image.index["manifests"] = value["manifests"]


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (_blob, "hash-mismatch"),
        (_config, "hash-mismatch"),
        (_size, "hash-mismatch"),
        (_both, "bad-oci"),
        (_index, "bad-oci"),
        (_media, "unknown-compression"),
        (_escape, "bad-oci"),
        (_gone, "bad-oci"),
        (_fewer, "bad-oci"),
        (_confused, "bad-oci"),
        (_many, "bad-oci"),
        (_cycle, "bad-oci"),
    ],
)
def test_hostile_layouts(
    history: History, tmp_path: Path, bend: Callable[[Image], None], reason: str
) -> None:
    take(history, Image(LOWER).directory(tmp_path / "good"))
    image = Image(LOWER)
    bend(image)
    path = image.directory(tmp_path / "bad")
    assert refused(history, lambda: take(history, path)) == reason


@pytest.mark.parametrize(
    "members",
    [
        [("l/.wh.x", "f", "")],
        [("l/f", "f", "x")],
        [(".wh...", "f", "")],
        [("d/.wh..", "f", "")],
        [("f/below", "f", "")],
    ],
)
def test_hostile_layers(history: History, tmp_path: Path, members: Sequence[Member]) -> None:
    take(history, Image(LOWER, UPPER).directory(tmp_path / "good"))
    path = Image(LOWER, tar(members)).directory(tmp_path / "bad")
    assert refused(history, lambda: take(history, path)) == "unsafe-path"


def test_links_in_a_layout_are_not_followed(history: History, tmp_path: Path) -> None:
    image = Image(LOWER)
    path = image.directory(tmp_path / "i")
    take(history, path)
    blob = path / "blobs/sha256" / image.layers[0]["digest"][7:]
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    assert refused(history, lambda: take(history, path)) == "bad-oci"


def test_what_would_be_a_whiteout_is_not_exported(history: History, tmp_path: Path) -> None:
    take(history, write(tmp_path / "x", tar([(".wh.x", "f", "x")])))
    assert files(history) == {".wh.x": "x"}
    assert refused(history, lambda: pack(history, "b", tmp_path / "o.tar")) == "unsafe-path"
