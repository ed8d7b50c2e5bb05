"""Commits as images of containers: an OCI layout, as a directory or in a tar.

One layer, one manifest, and nothing of the day in it: the same commit gives the same bytes where
zlib (or zstd) is the same. What was imported from such an image keeps its configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from dolmen.store.history import oci
from dolmen.store.history.importing import CONFIG
from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import metadata, resolve
from dolmen.store.repo.compressing import compressed
from dolmen.store.repo.exporting import export
from dolmen.store.repo.tree import Tree
from dolmen.support.errors import StoreError, UsageError
from dolmen.support.files import remove_tree, sync_directory

_MEDIA = {None: oci.LAYER_TYPE, "gzip": f"{oci.LAYER_TYPE}+gzip", "zstd": f"{oci.LAYER_TYPE}+zstd"}


@dataclass(frozen=True, slots=True)
class Packed:
    """An image that was written: digests are hexadecimal SHA-256."""

    commit: str
    manifest: str
    layer: str
    names: int


def pack(
    history: History,
    revision: str,
    target: Path,
    *,
    name: str = "latest",
    platform: str | None = None,
    compression: str | None = "gzip",
    archive: bool = True,
    xattrs: bool = True,
) -> Packed:
    """Write a commit as an OCI layout: a tar (`archive`) or a directory that is not there yet.

    `name`: the image's in the layout; `platform`: `os/architecture[/variant]`, None for that of the
    image it came from, else this host's. It is there whole or not at all, and durable. Raises
    StoreError ("no-revision", "path-exists", "unsafe-path", "store-full"), HostError.
    """
    checksum = resolve(history, revision)
    tree = Tree(history.files, checksum)
    _refuse_whiteouts(tree)
    target = target.absolute()
    if not archive and os.path.lexists(target):
        raise StoreError(f"{target} is there already", reason="path-exists", hint=f"rm -r {target}")
    with told():
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            layout = work / "layout"
            (layout / "blobs/sha256").mkdir(parents=True)
            layout.chmod(0o755)
            diff_id, layer, size, names = _layer(layout, tree, compression, xattrs)
            config = _config(history, tree, diff_id, platform)
            manifest = _manifest(config, _put(layout, config), (layer, size), compression)
            digest = _put(layout, manifest)
            (layout / oci.LAYOUT).write_bytes(_json({"imageLayoutVersion": oci.VERSION}))
            index = _index(manifest, digest, config, name)
            (layout / oci.INDEX).write_bytes(_json(index))
            _sync(layout)
            if archive:
                with open(work / "tar", "xb") as stream:
                    _tar(layout, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                (work / "tar").rename(target)
            else:
                layout.rename(target)
            sync_directory(target.parent)
        finally:
            remove_tree(work)
    return Packed(checksum, digest, layer, names)


def _refuse_whiteouts(tree: Tree) -> None:
    for entry in tree.walk(tree.root):
        if entry.path.rpartition("/")[2].startswith(".wh."):
            raise StoreError(
                f"{entry.path} would be taken for a whiteout in an image of containers",
                reason="unsafe-path",
                hint="dolmen store export --format=tar COMMIT",
            )


def _layer(
    layout: Path, tree: Tree, compression: str | None, xattrs: bool
) -> tuple[str, str, int, int]:
    """Write the layer; the digests of its tar and of the blob, the blob's size, and how many names
    are in it."""
    blobs = layout / "blobs/sha256"
    with open(blobs / "young", "xb") as stream:
        with compressed(stream, compression) as inner:
            plain = _Hashing(inner)
            names = export(tree, cast("IO[bytes]", plain), xattrs=xattrs)
        stream.flush()
    with open(blobs / "young", "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = os.fstat(stream.fileno()).st_size
    (blobs / "young").rename(blobs / digest)
    return plain.digest, digest, size, names


class _Hashing:
    """Hands on what is written, and knows its SHA-256."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _config(history: History, tree: Tree, diff_id: str, platform: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with contextlib.suppress(KeyError, ValueError):
        kept = json.loads(metadata(history, tree.commit.checksum)[CONFIG].get_string())
        found = {k: kept[k] for k in ("architecture", "config", "os", "variant") if k in kept}
    if platform is not None or "architecture" not in found:
        parts = (platform or oci.this_host()).split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise UsageError(f"{platform!r} is no platform", hint="--platform=linux/amd64")
        found |= {"os": parts[0], "architecture": parts[1]}
        found.pop("variant", None)
        found |= {"variant": parts[2]} if len(parts) == 3 else {}
    created = datetime.fromtimestamp(tree.commit.timestamp, UTC)
    when = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    words = tree.commit.subject or tree.commit.checksum
    return {
        **found,
        "created": when,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "history": [{"created": when, "created_by": "dolmen store export", "comment": words}],
    }


def _manifest(
    config: dict[str, Any], digest: str, layer: tuple[str, int], compression: str | None
) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST_TYPE,
        "config": _descriptor(oci.CONFIG_TYPE, digest, len(_json(config))),
        "layers": [_descriptor(_MEDIA[compression], *layer)],
    }


def _index(
    manifest: dict[str, Any], digest: str, config: dict[str, Any], name: str
) -> dict[str, Any]:
    keys = ("architecture", "os", "variant")
    return {
        "schemaVersion": 2,
        "mediaType": oci.INDEX_TYPE,
        "manifests": [
            {
                **_descriptor(oci.MANIFEST_TYPE, digest, len(_json(manifest))),
                "annotations": {oci.REF_NAME: name},
                "platform": {key: config[key] for key in keys if key in config},
            }
        ],
    }


def _descriptor(media: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": size}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _put(layout: Path, value: dict[str, Any]) -> str:
    data = _json(value)
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return digest


def _files(layout: Path) -> Iterator[str]:
    """As tools write them: what says that it is a layout comes first."""
    yield from (oci.LAYOUT, oci.INDEX)
    yield from (f"blobs/sha256/{name}" for name in sorted(os.listdir(layout / "blobs/sha256")))


def _sync(layout: Path) -> None:
    for name in _files(layout):
        with open(layout / name, "rb") as stream:
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
    for below in ("blobs/sha256", "blobs", "."):
        sync_directory(layout / below)


def _tar(layout: Path, stream: IO[bytes]) -> None:
    archive = tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
    for name in _files(layout):
        member = tarfile.TarInfo(name)
        member.mode, member.size = 0o644, (layout / name).stat().st_size
        with (layout / name).open("rb") as content:
            archive.addfile(member, content)
    archive.close()
