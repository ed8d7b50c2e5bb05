"""A repository on a web server, read object by object before anything is fetched for good."""

from __future__ import annotations

import hashlib
import re
import threading
import zlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from dolmen.archive.transport import GoneError, RefusedError, Transport, UnavailableError
from dolmen.support.errors import ArchiveError

_T = TypeVar("_T")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
#: No commit and no directory of a Debian system comes near.
_LARGEST = 32 << 20
#: Objects whose size is asked for, and connections for it.
_ASKED, _WORKERS = 2500, 8
#: How often a server that does not answer is asked.
_ATTEMPTS = 3


class Remote:
    """What lies below a URL; nothing of it is believed but what its name proves."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._workers = ThreadPoolExecutor(_WORKERS)
        self._own = threading.local()
        self._opened: list[Transport] = []

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._workers.shutdown(cancel_futures=True)
        for transport in self._opened:
            transport.close()

    @property
    def _transport(self) -> Transport:
        """This thread's."""
        if not hasattr(self._own, "transport"):
            self._own.transport = Transport()
            self._opened.append(self._own.transport)
        found: Transport = self._own.transport
        return found

    def ref(self, name: str) -> str:
        """The commit that a ref names; raises ArchiveError ("no-ref", "remote-failed")."""
        content = self._get(f"refs/heads/{name}", fresh=True)
        text = (content or b"").decode("ascii", "replace").strip()
        if not _CHECKSUM.fullmatch(text):
            raise ArchiveError(
                f"the repository has no ref {name}",
                reason="no-ref",
                context=f"{self.url}/refs/heads/{name}",
                hint="dolmen system rebase URL REF",
            )
        return text

    def metadata(self, checksum: str, kind: str) -> bytes:
        """A commit, dirtree or dirmeta that is what its name says.

        Raises ArchiveError ("remote-corrupt", "remote-failed").
        """
        content = self._get(_path(checksum, kind))
        if content is None or hashlib.sha256(content).hexdigest() != checksum:
            what = "what the server sent is not what its name says"
            if content is None:
                what = "the server lacks a part of the image"
            raise self._corrupt(what, _path(checksum, kind))
        return content

    def several(self, checksums: Sequence[str], kind: str) -> list[bytes]:
        """What `metadata` gives for each, asked for side by side."""
        return list(self._workers.map(lambda checksum: self.metadata(checksum, kind), checksums))

    def detached(self, checksum: str) -> bytes:
        """What was attached to a commit later, signatures above all; empty where nothing was."""
        return self._get(_path(checksum, "commitmeta"), fresh=True) or b""

    def file(self, checksum: str) -> bytes | None:
        """A file object's content, unpacked; None where it cannot be read.

        It is not compared with its name: for showing only.
        """
        packed = self._get(_path(checksum, "filez"))
        if packed is None:
            return None
        head = int.from_bytes(packed[:4], "big")
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed[8 + head :], _LARGEST)
        except zlib.error:
            return None

    def sizes(self, checksums: Collection[str]) -> int:
        """Bytes of file objects as they lie there, together.

        Of very many only some are asked for and the others taken to be like them.
        """
        names = sorted(checksums)
        asked = names[:: max(1, len(names) // _ASKED)]
        try:
            total = sum(self._workers.map(self._size, asked))
        except (RefusedError, UnavailableError):
            return 0  # it is a figure for people; the fetch itself tells what is wrong
        return total * len(names) // len(asked) if asked else 0

    def _size(self, checksum: str) -> int:
        try:
            return self._transport.size(f"{self.url}/{_path(checksum, 'filez')}") or 0
        except GoneError:
            return 0

    def delta_head(self, path: str) -> bytes | None:
        """The first file of a static delta; None where there is none."""
        return self._get(path)

    def save(self, path: str, file: Path, size: int, moved: Callable[[int], None]) -> None:
        """Write what lies there, `size` bytes, to a file; a broken transfer goes on where it was.

        Raises ArchiveError ("remote-corrupt", "remote-failed"), OSError.
        """

        def once() -> None:
            there = stream.tell()
            body = self._transport.get(f"{self.url}/{path}", start=there)
            stream.seek(body.start)
            stream.truncate()
            for chunk in body.chunks:
                stream.write(chunk)
                if stream.tell() > size:
                    raise RefusedError("more than was announced")
                moved(stream.tell())
            if stream.tell() < size:
                raise UnavailableError("it ended early")

        try:
            with file.open("wb") as stream:
                self._trying(path, once)
        except GoneError:
            raise self._corrupt("the server lacks a part of the delta", path) from None

    def _get(self, path: str, *, fresh: bool = False) -> bytes | None:
        try:
            return self._trying(path, lambda: self._once(path, fresh))
        except GoneError:
            return None

    def _trying(self, path: str, once: Callable[[], _T]) -> _T:
        """Do something until it works; raises GoneError, ArchiveError ("remote-failed")."""
        last: Exception | None = None
        for _attempt in range(_ATTEMPTS):
            try:
                return once()
            except UnavailableError as error:
                last = error
            except RefusedError as error:
                last = error
                break
        raise ArchiveError(
            "the server of the updates does not answer",
            reason="remote-failed",
            context=f"{self.url}/{path}: {last}",
            hint="dolmen system upgrade --check",
        )

    def _corrupt(self, message: str, path: str) -> ArchiveError:
        return ArchiveError(
            message,
            reason="remote-corrupt",
            context=f"{self.url}/{path}",
            hint="try again later; then tell whoever runs the server",
        )

    def _once(self, path: str, fresh: bool) -> bytes:
        body = self._transport.get(f"{self.url}/{path}", fresh=fresh)
        content = b""
        for chunk in body.chunks:
            content += chunk
            if len(content) > _LARGEST:
                raise RefusedError("more than was expected")
        if body.total is not None and len(content) != body.total:
            raise UnavailableError("it ended early")
        return content


def _path(checksum: str, kind: str) -> str:
    return f"objects/{checksum[:2]}/{checksum[2:]}.{kind}"
