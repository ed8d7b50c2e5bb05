"""A repository on a web server, read object by object before anything is fetched for good."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from dolmen.archive.transport import GoneError, RefusedError, Transport, UnavailableError
from dolmen.support.errors import ArchiveError

_CHECKSUM = re.compile(r"[0-9a-f]{64}")
#: No commit and no directory of a Debian system comes near.
_LARGEST = 32 << 20
#: Objects whose size is asked for, and connections for it.
_ASKED, _WORKERS = 2500, 4
#: How often a server that does not answer is asked.
_ATTEMPTS = 3


class Remote:
    """What lies below a URL; nothing of it is believed but what its name proves."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._transport = Transport()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._transport.close()

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
            raise ArchiveError(
                "what the server sent is not what its name says"
                if content is not None
                else "the server lacks a part of the image",
                reason="remote-corrupt",
                context=f"{self.url}/{_path(checksum, kind)}",
                hint="try again later; then tell whoever runs the server",
            )
        return content

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
        parts = [asked[number::_WORKERS] for number in range(_WORKERS)]
        with ThreadPoolExecutor(_WORKERS) as workers:
            total = sum(workers.map(self._sizes, parts))
        return total * len(names) // len(asked) if asked else 0

    def _sizes(self, checksums: Sequence[str]) -> int:
        transport = Transport()
        total = 0
        try:
            for checksum in checksums:
                total += transport.size(f"{self.url}/{_path(checksum, 'filez')}") or 0
        except (GoneError, RefusedError, UnavailableError):
            pass  # it is a figure for people; the fetch itself tells what is wrong
        finally:
            transport.close()
        return total

    def superblock(self, path: str) -> bytes | None:
        """The head of a static delta; None where there is none."""
        return self._get(path)

    def _get(self, path: str, *, fresh: bool = False) -> bytes | None:
        last: Exception | None = None
        for _attempt in range(_ATTEMPTS):
            try:
                return self._once(path, fresh)
            except GoneError:
                return None
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
