"""What a server offers, before any of it is fetched: judged, counted, compared."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from dolmen.store.history.repository import History
from dolmen.store.objects import decode_commit, decode_dirtree
from dolmen.store.repo.reach import Reach
from dolmen.store.sysroot import Metadata, Sysroot
from dolmen.store.sysroot.commits import reached
from dolmen.store.sysroot.fetching import has, load, object_sizes, verify
from dolmen.store.sysroot.metadata import parse_commit
from dolmen.support.errors import ArchiveError
from dolmen.system.machine.packages import STATUS
from dolmen.system.machine.remote import Remote

#: An object's file on disk, and its name in a directory, take this at least.
_BLOCK = 4096
#: How much larger a file is than it was packed, where nobody says.
_GROWTH = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that a server has.

    `objects` and `size`: what would come over the network, in bytes; `delta`: as one static delta
    instead. `needed`: bytes on our disk. `status`: its dpkg database, "" where nobody looked.
    """

    commit: str
    metadata: Metadata
    objects: int
    size: int
    needed: int
    delta: bool = False
    status: str = ""


def look(sysroot: Sysroot, remote: Remote, name: str, ref: str, *, signed: bool) -> Metadata:
    """The image that a ref names, its signature checked: two small requests.

    Raises ArchiveError ("no-ref", "remote-failed", "remote-corrupt", "signature-missing",
    "signature-bad").
    """
    commit = remote.ref(ref)
    history = sysroot.repository
    content = remote.metadata(commit, "commit")
    if signed:
        verify(history, name, content, remote.detached(commit))
    try:
        decode_commit(content)
        return parse_commit(commit, content)
    except (ValueError, IndexError):
        raise ArchiveError(
            "what the server calls a commit is none",
            reason="remote-corrupt",
            context=commit,
            hint="tell whoever runs the server",
        ) from None


def count(sysroot: Sysroot, remote: Remote, image: Metadata, *, packages: bool = False) -> Offer:
    """How much an image would bring; `packages`: with its dpkg database.

    Reads the directories that differ, and asks for sizes where the commit does not hold them.
    """
    history = sysroot.repository
    content = remote.metadata(image.commit, "commit")
    sizes = object_sizes(content)
    walk = _Walk(history, remote, reached(history, (one.commit for one in sysroot.deployments())))
    walk.commit(content)
    noted = [sizes[name] for name in walk.files if name in sizes]
    others = remote.sizes([name for name in walk.files if name not in sizes])
    packed = sum(pair[0] for pair in noted) + others
    unpacked = sum(pair[1] for pair in noted) + others * _GROWTH + len(walk.files) * _BLOCK
    delta = _delta_size(history, remote, sysroot, image.commit)
    status = ""
    if packages:
        found = walk.found(content, STATUS)
        if found is not None:
            status = _text(history, remote, found)
    return Offer(
        image.commit,
        image,
        len(walk.files) + walk.count,
        # libostree takes a delta wherever there is one.
        packed + walk.size if delta is None else delta,
        unpacked + walk.count * _BLOCK,
        delta is not None,
        status,
    )


class _Walk:
    """The metadata of a commit that is partly here and partly there; `known` is here."""

    def __init__(self, history: History, remote: Remote, known: Reach) -> None:
        self.history = history
        self.remote = remote
        self.known = known
        self.files: set[str] = set()
        self.count = 0
        self.size = 0
        self._read: dict[tuple[str, str], bytes] = {}
        self._seen: set[str] = set(known.dirtrees)

    def commit(self, content: bytes) -> None:
        found = decode_commit(content)
        self.count, self.size = 1, len(content)
        self._get(found.meta, "dirmeta")
        waiting = [found.tree]
        while waiting:
            checksum = waiting.pop()
            if checksum in self._seen:
                continue
            self._seen.add(checksum)
            tree = decode_dirtree(self._get(checksum, "dirtree"))
            for file in tree.files.values():
                if file in self.known.files or file in self.files:
                    continue
                if not has(self.history, file, "file"):
                    self.files.add(file)
            for child, meta in tree.dirs.values():
                if meta not in self.known.dirmetas:
                    self._get(meta, "dirmeta")
                waiting.append(child)

    def found(self, content: bytes, path: str) -> str | None:
        """The object of a file at a path."""
        here = decode_commit(content).tree
        *parents, last = path.split("/")
        for name in parents:
            below = decode_dirtree(self._get(here, "dirtree")).dirs.get(name)
            if below is None:
                return None
            here = below[0]
        return decode_dirtree(self._get(here, "dirtree")).files.get(last)

    def _get(self, checksum: str, kind: str) -> bytes:
        key = (checksum, kind)
        if key not in self._read:
            if has(self.history, checksum, kind):
                self._read[key] = load(self.history, checksum, kind)
            else:
                self._read[key] = self.remote.metadata(checksum, kind)
                self.count += 1
                self.size += len(self._read[key])
        return self._read[key]


def _text(history: History, remote: Remote, checksum: str) -> str:
    if has(history, checksum, "file"):
        from dolmen.store.sysroot.commits import read_object

        content: bytes | None = read_object(history, checksum)
    else:
        content = remote.file(checksum)
    return (content or b"").decode("utf-8", "surrogateescape")


def _delta_size(history: History, remote: Remote, sysroot: Sysroot, commit: str) -> int | None:
    """Bytes of the static delta that libostree would take; None where there is none."""
    from dolmen.store.sysroot.deltas import delta_size

    best: int | None = None
    for base in dict.fromkeys(one.commit for one in sysroot.own()):
        content = remote.superblock(f"deltas/{_delta_name(base, commit)}/superblock")
        size = delta_size(content) if content is not None else None
        if size is not None and (best is None or size < best):
            best = size
    return best


def _delta_name(before: str, after: str) -> str:
    """Where a delta lies (ostree-core.c, _ostree_get_relative_static_delta_path)."""
    names = [
        base64.b64encode(bytes.fromhex(one)).decode().rstrip("=").replace("/", "_")
        for one in (before, after)
    ]
    return f"{names[0][:2]}/{names[0][2:]}-{names[1]}"
