"""OCI image layouts (image-spec: image-layout.md, descriptor.md, manifest.md, config.md).

A layout is a directory, or a tar of one. What is read is believed only as far as its digest: blobs
are found by it, and nothing else of a layout has a name that is looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as host
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from dolmen.store.deb import bad
from dolmen.store.streams import Hashed, pieces, unpacked
from dolmen.store.tar import TarReader
from dolmen.support.errors import PackageError

LAYOUT, INDEX = "oci-layout", "index.json"
VERSION = "1.0.0"
REF_NAME = "org.opencontainers.image.ref.name"
_OCI = "application/vnd.oci.image."
_DOCKER = "application/vnd.docker."
INDEX_TYPE = f"{_OCI}index.v1+json"
MANIFEST_TYPE = f"{_OCI}manifest.v1+json"
CONFIG_TYPE = f"{_OCI}config.v1+json"
LAYER_TYPE = f"{_OCI}layer.v1.tar"
_INDEXES = {INDEX_TYPE, f"{_DOCKER}distribution.manifest.list.v2+json"}
_MANIFESTS = {MANIFEST_TYPE, f"{_DOCKER}distribution.manifest.v2+json"}
_CONFIGS = {CONFIG_TYPE, f"{_DOCKER}container.image.v1+json"}
#: Media type of a layer -> how it is compressed ("": not at all).
LAYERS = {
    LAYER_TYPE: "",
    f"{LAYER_TYPE}+gzip": "gz",
    f"{LAYER_TYPE}+zstd": "zst",
    f"{_OCI}layer.nondistributable.v1.tar": "",
    f"{_OCI}layer.nondistributable.v1.tar+gzip": "gz",
    f"{_OCI}layer.nondistributable.v1.tar+zstd": "zst",
    f"{_DOCKER}image.rootfs.diff.tar.gzip": "gz",
    f"{_DOCKER}image.rootfs.diff.tar": "",
}
#: Bytes of a manifest or a configuration (registries take 4 MiB), layers of an image, how deep
#: indexes may be in each other, and blobs in a tar.
_LIMIT = 8 << 20
_MAX_LAYERS = 512
_MAX_DEPTH = 4
_MAX_BLOBS = 20_000
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i686": "386",
}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a blob: its type, digest (hexadecimal SHA-256) and size in bytes."""

    media: str
    digest: str
    size: int
    annotations: Mapping[str, str]
    platform: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OciImage:
    """One image of a layout: its configuration as text, its layers from below, and the digests
    that they must have when they are unpacked."""

    manifest: Descriptor
    config: str
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]


class Layout(Protocol):
    """Where blobs are."""

    def small(self, name: str) -> bytes:
        """A file of the layout that is no blob."""

    def blob(self, digest: str) -> IO[bytes] | None:
        """A blob, opened; None where there is none."""


class DirectoryLayout:
    """A layout in a directory; links in it are not followed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def small(self, name: str) -> bytes:
        """A file at the top."""
        stream = self._open(name)
        if stream is None:
            raise _damaged(f"it has no {name}")
        with stream:
            return _whole(stream)

    def blob(self, digest: str) -> IO[bytes] | None:
        """A file of blobs/sha256."""
        return self._open("blobs", "sha256", digest)

    def _open(self, *parts: str) -> IO[bytes] | None:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        # The directory itself may be a link: it was named by the user.
        fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for number, part in enumerate(parts, 1):
            more = os.O_DIRECTORY if number < len(parts) else 0
            try:
                below = os.open(part, flags | more, dir_fd=fd)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise _damaged(f"{'/'.join(parts)}: {error.strerror}") from None
            finally:
                os.close(fd)
            fd = below
        stream = os.fdopen(fd, "rb")
        if not os.path.isfile(f"/proc/self/fd/{fd}"):
            stream.close()
            raise _damaged(f"{'/'.join(parts)} is no file")
        return stream


class TarLayout:
    """A layout in a tar, compressed or not; what has no place in a layout is passed over."""

    def __init__(self, source: Path, scratch: Path, *, limit: int) -> None:
        self._file: IO[bytes] = open(source, "rb")  # noqa: SIM115
        head = self._file.read(8)
        self._file.seek(0)
        if unpack := list_head(head):
            with closing(self._file) as packed:
                self._file = cast("IO[bytes]", tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115
                size = 0
                for piece in unpacked(pieces(packed), unpack):
                    size += len(piece)
                    if size > limit:
                        raise bad("it unpacks to more than is allowed", "too-large")
                    self._file.write(piece)
            self._file.seek(0)
        self._places: dict[str, tuple[int, int]] = {}
        reader = TarReader(pieces(self._file), limit=limit)
        for entry in reader:
            known = entry.path in (LAYOUT, INDEX) or _BLOB.fullmatch(entry.path)
            if entry.kind != "f" or not known:
                continue
            if entry.path in self._places or len(self._places) >= _MAX_BLOBS:
                raise _damaged(f"it has {entry.path} twice, or too many blobs")
            self._places[entry.path] = reader.offset, entry.size

    def small(self, name: str) -> bytes:
        """A file at the top."""
        stream = self._open(name)
        if stream is None:
            raise _damaged(f"it has no {name}")
        return _whole(stream)

    def blob(self, digest: str) -> IO[bytes] | None:
        """A file of blobs/sha256."""
        return self._open(f"blobs/sha256/{digest}")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _open(self, name: str) -> IO[bytes] | None:
        place = self._places.get(name)
        return None if place is None else cast("IO[bytes]", _Section(self._file, *place))


class _Section:
    """A part of a file, read from its beginning."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self._fd = stream.fileno()
        self._place, self._end = start, start + size

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._place
        found = os.pread(self._fd, left if size < 0 else min(size, left), self._place)
        self._place += len(found)
        return found

    def __enter__(self) -> _Section:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


def list_head(head: bytes) -> str | None:
    """How a file is compressed that begins so."""
    from dolmen.store.streams import compression

    return compression(head)


def is_layout(path: Path) -> bool:
    """Whether a directory says that it is a layout."""
    return (path / LAYOUT).is_file() and (path / INDEX).is_file()


def choose(layout: Layout, *, name: str | None = None, platform: str | None = None) -> OciImage:
    """The image of a layout with that name, for that platform (`os/architecture[/variant]`; None:
    this host's, or the only one there is).

    Raises PackageError ("bad-oci", "no-such-image", "which-image", "hash-mismatch").
    """
    _check_version(layout)
    found = list(_manifests(layout, _json(layout.small(INDEX)), {}, 0))
    if name is not None:
        found = [one for one in found if one.annotations.get(REF_NAME) == name]
    there = found
    if platform is not None:
        found = [one for one in found if _runs_on(one.platform, platform)]
    elif len(found) > 1:
        found = [one for one in found if not one.platform or _runs_on(one.platform, this_host())]
    different = {one.digest: one for one in found}
    if len(different) != 1:
        raise PackageError(
            "it has no such image" if not different else f"it has {len(different)} images",
            reason="no-such-image" if not different else "which-image",
            details=[_shown(one) for one in (different.values() or there)][:20],
            hint="dolmen store import --image=NAME --platform=linux/amd64 …",
        )
    return _image(layout, next(iter(different.values())))


def layer(layout: Layout, image: OciImage, number: int) -> Layer:
    """One layer, to be read to its end and then to be checked."""
    return Layer(layout, image.layers[number], image.diff_ids[number])


class Layer:
    """The tar of a layer in pieces; `check` afterwards."""

    def __init__(self, layout: Layout, descriptor: Descriptor, diff_id: str) -> None:
        stream = layout.blob(descriptor.digest)
        if stream is None:
            raise _damaged(f"the layer sha256:{descriptor.digest} is not in it")
        self._stream = stream
        self._descriptor, self._diff_id = descriptor, diff_id
        self._packed = Hashed(self._bounded())
        kind = LAYERS[descriptor.media]
        packed = iter(self._packed)
        self._plain = Hashed(unpacked(packed, kind) if kind else packed)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._plain

    def check(self) -> None:
        """Read what is left, and compare; raises PackageError ("hash-mismatch")."""
        for _ in self._plain:
            pass
        for _ in self._packed:
            pass
        self._stream.close() if hasattr(self._stream, "close") else None
        if (self._packed.digest, self._packed.size) != (
            self._descriptor.digest,
            self._descriptor.size,
        ):
            raise bad(f"the blob sha256:{self._descriptor.digest} is another", "hash-mismatch")
        if self._plain.digest != self._diff_id:
            raise bad(
                f"a layer unpacks to sha256:{self._plain.digest}, the configuration says "
                f"sha256:{self._diff_id}",
                "hash-mismatch",
            )

    def _bounded(self) -> Iterator[bytes]:
        left = self._descriptor.size
        for piece in pieces(self._stream):
            left -= len(piece)
            if left < 0:
                raise bad("a blob is larger than its descriptor says", "hash-mismatch")
            yield piece


def this_host() -> str:
    """The platform of this host in OCI's words."""
    machine = host.machine()
    return f"linux/{_MACHINES.get(machine, machine)}"


def _check_version(layout: Layout) -> None:
    value = _json(layout.small(LAYOUT))
    if value.get("imageLayoutVersion") != VERSION:
        raise _damaged(f"its version is {str(value.get('imageLayoutVersion'))[:20]!r}")


def _manifests(
    layout: Layout, index: Mapping[str, Any], above: Mapping[str, str], depth: int
) -> Iterator[Descriptor]:
    """All manifests below an index; names and platforms of an index count for what is in it."""
    if depth > _MAX_DEPTH:
        raise _damaged("its indexes are in each other")
    listed = index.get("manifests")
    if not isinstance(listed, list) or "layers" in index or "config" in index:
        # Both at once could mean one thing here and another elsewhere (CVE-2021-41190).
        raise _damaged("its index is no list of manifests")
    for value in listed:
        one = _descriptor(value)
        named = {**above, **one.annotations}
        if one.media in _INDEXES:
            yield from _manifests(layout, _document(layout, one), named, depth + 1)
        # What signs or describes another image is for no platform.
        elif one.media in _MANIFESTS and one.platform.get("os") != "unknown":
            yield Descriptor(one.media, one.digest, one.size, named, one.platform)


def _image(layout: Layout, manifest: Descriptor) -> OciImage:
    value = _document(layout, manifest)
    if "manifests" in value or value.get("schemaVersion") != 2:
        raise _damaged("a manifest is an index as well")
    config = _descriptor(value.get("config"))
    if config.media not in _CONFIGS:
        raise _damaged(f"it is no image of a container but {config.media[:60]!r}")
    text = _blob(layout, config)
    listed = value.get("layers")
    layers = tuple(_descriptor(one) for one in listed) if isinstance(listed, list) else ()
    if not isinstance(listed, list) or len(layers) > _MAX_LAYERS:
        raise _damaged("its manifest has no layers, or too many")
    for one in layers:
        if one.media not in LAYERS:
            raise bad(f"a layer is of type {one.media[:60]!r}", "unknown-compression")
    rootfs = _json(text).get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(ids, list) or len(ids) != len(layers):
        raise _damaged("its configuration and its manifest differ in their layers")
    return OciImage(manifest, text.decode(), layers, tuple(_digest(one) for one in ids))


def _document(layout: Layout, descriptor: Descriptor) -> dict[str, Any]:
    value = _json(_blob(layout, descriptor))
    media = value.get("mediaType", descriptor.media)
    if media != descriptor.media:
        raise _damaged(f"a document of type {str(media)[:60]!r} is called {descriptor.media!r}")
    return value


def _blob(layout: Layout, descriptor: Descriptor) -> bytes:
    stream = layout.blob(descriptor.digest)
    if stream is None:
        raise _damaged(f"the blob sha256:{descriptor.digest} is not in it")
    with stream:
        data = _whole(stream)
    if len(data) != descriptor.size or hashlib.sha256(data).hexdigest() != descriptor.digest:
        raise bad(f"the blob sha256:{descriptor.digest} is another", "hash-mismatch")
    return data


def _whole(stream: IO[bytes]) -> bytes:
    data = stream.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise bad("a document in it is too large", "too-large")
    return data


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise _damaged(f"a document is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise _damaged("a document is no JSON object")
    return value


def _descriptor(value: object) -> Descriptor:
    if not isinstance(value, dict):
        raise _damaged("a descriptor is none")
    media, size = value.get("mediaType"), value.get("size")
    if not isinstance(media, str) or not isinstance(size, int) or not 0 <= size < 1 << 50:
        raise _damaged("a descriptor has no type, or no size")
    return Descriptor(
        media,
        _digest(value.get("digest")),
        size,
        _texts(value.get("annotations")),
        _texts(value.get("platform")),
    )


def _digest(value: object) -> str:
    found = _DIGEST.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _damaged(f"{str(value)[:80]!r} is no SHA-256 digest")
    return found[1]


def _texts(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}


def _runs_on(there: Mapping[str, str], wanted: str) -> bool:
    parts = wanted.split("/")
    names = (there.get("os"), there.get("architecture"), there.get("variant"))
    return all(part == name for part, name in zip(parts, names, strict=False))


def _shown(one: Descriptor) -> str:
    where = "/".join(filter(None, (one.platform.get(k) for k in ("os", "architecture", "variant"))))
    return f"{one.annotations.get(REF_NAME, '-')} {where or '-'} sha256:{one.digest[:12]}"


def _damaged(what: str) -> PackageError:
    return bad(what, "bad-oci")
