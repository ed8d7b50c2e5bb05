"""Taking in what others made: directories, tars, images of containers."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gi.repository import GLib

from dolmen.store.history import oci
from dolmen.store.history.bundling import read_bundle
from dolmen.store.history.intake import Intake, Rules, Taken
from dolmen.store.history.recording import record
from dolmen.store.history.references import refs
from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import load, resolve
from dolmen.store.streams import compression, is_tar, pieces, unpacked
from dolmen.store.tar import TarReader
from dolmen.support.errors import PackageError, UsageError

FORMATS = ("dir", "tar", "oci", "repo")
#: Bytes that something may unpack to, unless the caller says otherwise.
LIMIT = 64 << 30
#: The same by the size of what is read: zlib and xz do no better on files that anybody needs.
_RATIO = 250
_SLACK = 512 << 20
#: Metadata of a commit that was an image of a container: its configuration, and where it came from.
CONFIG, MANIFEST = "dolmen.oci-config", "dolmen.oci-manifest"
_CONFIG_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Incoming:
    """What to import and how: `kind` one of FORMATS or None for what it looks like; `image` and
    `platform` choose among those of an OCI layout; `limit` in bytes of all that is unpacked."""

    source: str
    kind: str | None = None
    rules: Rules | None = None
    image: str | None = None
    platform: str | None = None
    limit: int = LIMIT


@dataclass(frozen=True, slots=True)
class Imported:
    """The commit of a branch; `changed` is False where the branch had that tree already. Of a
    repository in a tar: its refs. `taken`: what came in and what did not."""

    kind: str
    checksum: str
    changed: bool
    taken: Taken
    refs: tuple[tuple[str, str], ...] = ()
    layers: int = 0


def import_tree(
    history: History,
    incoming: Incoming,
    branch: str | None,
    *,
    subject: str | None = None,
    body: str | None = None,
    timestamp: int | None = None,
    force: bool = False,
) -> Imported:
    """Commit a directory, a tar or an OCI image to a branch, or take in a repository in a tar.

    All of it or nothing: a source that is refused leaves no commit and moves no ref. Raises
    PackageError ("unsafe-path", "bad-tar", "truncated", "too-large", "bad-oci", "hash-mismatch",
    "no-such-image", "which-image", "unknown-compression", "bad-bundle"), StoreError, UsageError.
    """
    rules = incoming.rules or Rules()
    rules.canonical = rules.canonical or history.mode == "bare-user-only"
    try:
        kind = incoming.kind or kind_of(incoming.source)
        if kind == "repo":
            return _repository(history, incoming, branch, force)
        if branch is None:
            raise UsageError("which branch?", hint="dolmen store import --branch=NAME …")
        history.refuse_ours(branch)
        with history.transaction():
            intake = Intake(history, rules)
            metadata: dict[str, Any] = {}
            layers = 0
            if kind == "dir":
                intake.take_directory(incoming.source)
            elif kind == "tar":
                _tar(incoming, intake)
            else:
                metadata, layers = _oci(history, incoming, intake)
            tree = intake.write()
            before = resolve(history, branch) if branch in refs(history) else None
            last = load(history, before) if before is not None else None
            same = last is not None and (last.tree, last.meta) == tree
            checksum = before if same else None
            if checksum is None:
                name = os.path.basename(incoming.source.rstrip("/")) or incoming.source
                checksum = record(
                    history,
                    tree,
                    branch=branch,
                    parent=before,
                    subject=subject or f"Import {name}",
                    body=body,
                    timestamp=timestamp,
                    metadata=metadata,
                )
    except PackageError as error:
        error.message = f"{incoming.source} is refused: {error.message}"
        error.hint = error.hint or "have it made again, by somebody whom you trust"
        raise
    return Imported(kind, checksum, not same, intake.taken, layers=layers)


def kind_of(source: str) -> str:
    """What something looks like: one of FORMATS.

    Raises StoreError where it cannot be read, UsageError where it is nothing of these.
    """
    if source == "-":
        return "tar"
    path = Path(source)
    with told():
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return "oci" if oci.is_layout(path) else "dir"
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(
                f"{source} is neither file nor directory", hint="dolmen store import -"
            )
        with path.open("rb") as stream:
            return _kind_of_file(stream, source)


def _kind_of_file(stream: IO[bytes], source: str) -> str:
    head = stream.read(512)
    stream.seek(0)
    if not is_tar(head) and compression(head) is None:
        raise UsageError(
            f"{source} is no tar, and not compressed in a way that is known",
            hint="dolmen store import --format=tar …",
        )
    # Both say in their first names what they are; more is not looked at.
    reader = TarReader(unpacked(pieces(stream)), limit=1 << 40)
    for number, entry in enumerate(reader):
        if entry.path == oci.LAYOUT or entry.path.startswith("blobs/sha256/"):
            return "oci"
        if number == 0 and entry.path == "config" and entry.kind == "f":
            return "repo" if b"mode=archive" in reader.whole() else "tar"
        if entry.path not in ("", "blobs", "blobs/sha256", oci.INDEX):
            break
    return "tar"


def _bound(incoming: Incoming, size: int | None) -> int:
    if size is None:
        return incoming.limit
    return min(incoming.limit, size * _RATIO + _SLACK)


def _tar(incoming: Incoming, intake: Intake) -> None:
    # A descriptor of its own: standard input stays open.
    fd = os.dup(0) if incoming.source == "-" else os.open(incoming.source, os.O_RDONLY)
    with os.fdopen(fd, "rb") as stream:
        status = os.fstat(stream.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        intake.take(TarReader(unpacked(pieces(stream)), limit=_bound(incoming, size)))


def _oci(history: History, incoming: Incoming, intake: Intake) -> tuple[dict[str, Any], int]:
    path = Path(incoming.source)
    scratch = history.path / "tmp"
    scratch.mkdir(exist_ok=True)
    if incoming.source == "-":
        with tempfile.NamedTemporaryFile(dir=scratch, prefix="dolmen-oci-") as spool:
            with os.fdopen(os.dup(0), "rb") as stream:
                size = 0
                for piece in pieces(stream):
                    size += len(piece)
                    if size > incoming.limit:
                        raise PackageError("it is larger than is allowed", reason="too-large")
                    spool.write(piece)
            spool.flush()
            return _layers(oci.TarLayout(Path(spool.name), scratch, limit=size), incoming, intake)
    if path.is_dir():
        return _layers(oci.DirectoryLayout(path), incoming, intake)
    layout = oci.TarLayout(path, scratch, limit=_bound(incoming, path.stat().st_size))
    try:
        return _layers(layout, incoming, intake)
    finally:
        layout.close()


def _layers(layout: oci.Layout, incoming: Incoming, intake: Intake) -> tuple[dict[str, Any], int]:
    image = oci.choose(layout, name=incoming.image, platform=incoming.platform)
    left = incoming.limit
    for number, descriptor in enumerate(image.layers):
        layer = oci.layer(layout, image, number)
        counted = _Counted(iter(layer))
        limit = min(left, descriptor.size * _RATIO + _SLACK)
        intake.take(TarReader(iter(counted), limit=limit), whiteouts=True)
        layer.check()
        left -= counted.size
    metadata = {MANIFEST: GLib.Variant("s", f"sha256:{image.manifest.digest}")}
    if len(image.config) <= _CONFIG_LIMIT:
        metadata[CONFIG] = GLib.Variant("s", image.config)
    return metadata, len(image.layers)


class _Counted:
    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._source:
            self.size += len(piece)
            yield piece


def _repository(history: History, incoming: Incoming, branch: str | None, force: bool) -> Imported:
    done = read_bundle(
        history, Path(incoming.source), rename=branch, force=force, limit=incoming.limit
    )
    first = next(iter(done.refs.values()))
    return Imported("repo", first, True, Taken(), tuple(done.refs.items()))
