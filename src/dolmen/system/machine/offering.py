"""What a server offers, before any of it is fetched: judged, counted, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dolmen.store.history.repository import History
from dolmen.store.objects import decode_commit, decode_dirtree
from dolmen.store.repo.reach import Reach
from dolmen.store.sysroot import Metadata, Sysroot
from dolmen.store.sysroot.commits import reached
from dolmen.store.sysroot.fetching import has, load, object_sizes, verify
from dolmen.store.sysroot.metadata import parse_commit
from dolmen.support.errors import ArchiveError
from dolmen.system.machine.delta import OfferedDelta, find_delta
from dolmen.system.machine.packages import STATUS
from dolmen.system.machine.remote import Remote

#: An object's file on disk, and its name in a directory, take this at least.
_BLOCK = 4096
#: How much larger a file is than it was packed, where nobody says.
_GROWTH = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that a server has.

    `objects` and `size`: what would come over the network, in bytes, as one static `delta` where
    there is one. `needed`: bytes on our disk. `status`: its dpkg database, "" where nobody looked.
    """

    commit: str
    metadata: Metadata
    objects: int
    size: int
    needed: int
    delta: OfferedDelta | None = None
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


def count(
    sysroot: Sysroot, remote: Remote, image: Metadata, ref: str, *, packages: bool = False
) -> Offer:
    """How much an image of a branch would bring; `packages`: with its dpkg database.

    A delta says how much it is. Elsewhere the directories that differ are read, and sizes asked for
    where the commit does not hold them. Raises ArchiveError ("remote-failed", "remote-corrupt").
    """
    history = sysroot.repository
    content = remote.metadata(image.commit, "commit")
    walk = _Walk(history, remote, reached(history, (one.commit for one in sysroot.deployments())))
    status = ""
    if packages:
        found = walk.found(content, STATUS)
        if found is not None:
            status = _text(history, remote, found)
    offered = find_delta(sysroot, remote, image.commit, ref)
    if offered is not None:
        delta = offered.delta
        # Packed and unpacked are here together for a moment.
        needed = delta.size + delta.usize + delta.objects * _BLOCK
        return Offer(image.commit, image, delta.objects, delta.size, needed, offered, status)
    walk.commit(content)
    sizes = object_sizes(content)
    noted = [sizes[name] for name in walk.files if name in sizes]
    others = remote.sizes([name for name in walk.files if name not in sizes])
    packed = sum(pair[0] for pair in noted) + others
    unpacked = sum(pair[1] for pair in noted) + others * _GROWTH + len(walk.files) * _BLOCK
    return Offer(
        image.commit,
        image,
        len(walk.files) + walk.count,
        packed + walk.size,
        unpacked + walk.count * _BLOCK,
        None,
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
        self.count += 1
        self.size += len(content)
        self._get([found.meta], "dirmeta")
        level = {found.tree}
        while level:
            new = sorted(level - self._seen)
            self._seen |= level
            level = set()
            metas: set[str] = set()
            for tree in map(decode_dirtree, self._get(new, "dirtree")):
                for file in tree.files.values():
                    if file in self.known.files or file in self.files:
                        continue
                    if not has(self.history, file, "file"):
                        self.files.add(file)
                for child, meta in tree.dirs.values():
                    level.add(child)
                    metas.add(meta)
            self._get(sorted(metas - self.known.dirmetas), "dirmeta")

    def found(self, content: bytes, path: str) -> str | None:
        """The object of a file at a path."""
        here = decode_commit(content).tree
        *parents, last = path.split("/")
        for name in parents:
            below = decode_dirtree(*self._get([here], "dirtree")).dirs.get(name)
            if below is None:
                return None
            here = below[0]
        return decode_dirtree(*self._get([here], "dirtree")).files.get(last)

    def _get(self, checksums: Sequence[str], kind: str) -> list[bytes]:
        """Objects from here or from there; each is asked for once."""
        away = []
        for checksum in checksums:
            if (checksum, kind) not in self._read:
                if has(self.history, checksum, kind):
                    self._read[checksum, kind] = load(self.history, checksum, kind)
                else:
                    away.append(checksum)
        for checksum, content in zip(away, self.remote.several(away, kind), strict=True):
            self._read[checksum, kind] = content
            self.count += 1
            self.size += len(content)
        return [self._read[checksum, kind] for checksum in checksums]


def _text(history: History, remote: Remote, checksum: str) -> str:
    if has(history, checksum, "file"):
        from dolmen.store.sysroot.commits import read_object

        content: bytes | None = read_object(history, checksum)
    else:
        content = remote.file(checksum)
    return (content or b"").decode("utf-8", "surrogateescape")
