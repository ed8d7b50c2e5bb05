"""Objects out of other repositories, whatever their mode, as files that could be ours.

Nothing of a peer is believed: what comes from one is examined under the name that was asked for
before it becomes an object (`Mender.put`).
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from dolmen.store.objects import XATTR, Attributes, decode_attributes
from dolmen.store.repo import contents
from dolmen.store.repo.repository import Repository
from dolmen.store.usage import ObjectName
from dolmen.support.errors import StoreError

#: Fetches one file of a peer's repository ("objects/ab/…") to a path; False where there is none.
Fetch = Callable[[str, Path], bool]
_LARGEST = 1 << 40


class Peer:
    """One other repository; `name` is for people."""

    def __init__(self, name: str, repository: Repository, fetch: Fetch | None = None) -> None:
        self.name = name
        self._repository = repository
        self._fetch = fetch

    @classmethod
    def local(cls, path: Path) -> Peer:
        """A repository of this machine, or the one of another store.

        Raises StoreError ("no-repository", "store-failed").
        """
        inside = path / "repo"
        return cls(str(path), Repository(inside if (inside / "config").is_file() else path))

    @classmethod
    def remote(cls, name: str, directory: Path, fetch: Fetch) -> Peer:
        """One that is served (mode archive); what is fetched lies in `directory`, made here.

        Raises StoreError ("no-repository", "store-failed"), and what `fetch` raises.
        """
        directory.mkdir()
        if not fetch("config", directory / "config"):
            raise StoreError(
                f"there is no repository: {name}",
                reason="no-repository",
                hint=f"is it the address of a repository: {name}/config",
            )
        return cls(name, Repository(directory), fetch)

    def file(self, wanted: ObjectName, work: Path) -> Path | None:
        """A fresh file in `work` that is to be that object; None where the peer cannot give it."""
        try:
            return self._file(wanted, work / secrets.token_hex(8))
        except (StoreError, OSError, ValueError):
            return None

    def _file(self, wanted: ObjectName, fresh: Path) -> Path | None:
        checksum, kind = wanted
        place = Path(self._repository.place(checksum, kind))
        if self._fetch is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not self._fetch(str(place.relative_to(self._repository.path)), place):
                return None
        if kind != "file":
            fresh.write_bytes(self._repository.read(checksum, kind))
            fresh.chmod(0o644)
            return fresh
        mode, uid, gid, _size, target, attributes = contents.facts(self._repository, checksum)
        if self._repository.mode == "bare":
            attributes = contents.xattrs(self._repository, checksum)
        written = b"".join(number.to_bytes(4, "big") for number in (uid, gid, mode)) + attributes
        found: Attributes = decode_attributes(written)
        with fresh.open("xb") as stream:
            for piece in _pieces(self._repository, checksum, target):
                stream.write(piece)
                if stream.tell() > _LARGEST:
                    raise ValueError("endless")
        os.setxattr(fresh, XATTR, written)
        fresh.chmod(found.disk_mode)
        os.utime(fresh, (0, 0))
        return fresh if stat.S_ISREG(mode) or stat.S_ISLNK(mode) else None


def _pieces(repository: Repository, checksum: str, target: str | None) -> Iterator[bytes]:
    if target is not None:
        yield os.fsencode(target) + b"\0"
    else:
        yield from contents.content(repository, checksum)
