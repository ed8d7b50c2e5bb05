"""One .deb from one of several URIs into the cache, in a worker thread."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from dolmen.archive.transport import GoneError, RefusedError, Transport, UnavailableError
from dolmen.model import LockedPackage

#: Tries of one URI, and seconds before each further one.
TRIES = 4
PAUSES = (0.3, 1.0, 3.0)

_CHUNK = 1 << 20
_POLL_SECONDS = 0.1


class FailureError(Exception):
    """Every URI failed; `kind` is the reason, `attempts` what happened at each."""

    def __init__(self, package: LockedPackage, kind: str, attempts: Sequence[str]) -> None:
        super().__init__(kind)
        self.package = package
        self.kind = kind
        self.attempts = tuple(attempts)


class _StoppedError(Exception):
    """The fetch was given up by its caller."""


class _MismatchError(Exception):
    """What was served is not what was asked for; `resumed`: part of it came earlier."""

    def __init__(self, told: str, *, resumed: bool) -> None:
        super().__init__(told)
        self.resumed = resumed


class Download:
    """A package on its way to `path`."""

    def __init__(self, package: LockedPackage, cache: Path, uris: Sequence[str]) -> None:
        self.package = package
        self.uris = uris
        self.path = cache / f"{package.sha256}.deb"
        self.partial = cache / f"{package.sha256}.part"
        self.cached = False


class Worker(threading.Thread):
    """Takes downloads from a queue until it is empty; outcomes go to another queue."""

    def __init__(
        self,
        waiting: queue.SimpleQueue[Download],
        results: queue.SimpleQueue[Download | BaseException],
        stop: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self.transport = Transport()
        self.received = 0
        self.transferred = 0
        self.busy = False
        self.item = ""
        self._waiting = waiting
        self._results = results
        self._stop_event = stop

    def run(self) -> None:
        """Work until nothing is left, or something failed, or the caller gave up."""
        try:
            while not self._stop_event.is_set():
                download = self._waiting.get_nowait()
                self.item = download.package.name
                self._bring(download)
                self._results.put(download)
        except (queue.Empty, _StoppedError):
            pass
        except BaseException as error:
            self._results.put(error)
        finally:
            self.busy = False
            self.item = ""
            self.transport.close()

    def _bring(self, download: Download) -> None:
        if self._valid(download):
            download.cached = True
            return
        with self._partial(download) as fd:
            if fd is None:
                # another process finished it while we waited
                download.cached = True
                return
            self._from_anywhere(download, fd)
            os.fchmod(fd, 0o644)
            os.rename(download.partial, download.path)

    def _valid(self, download: Download) -> bool:
        """Whether the cache holds the right file; a wrong one is thrown away."""
        package = download.package
        try:
            with download.path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size == package.size:
                    digest = hashlib.sha256()
                    while chunk := stream.read(_CHUNK):
                        digest.update(chunk)
                    if digest.hexdigest() == package.sha256:
                        self.received += package.size
                        return True
        except FileNotFoundError:
            return False
        download.path.unlink(missing_ok=True)
        return False

    @contextlib.contextmanager
    def _partial(self, download: Download) -> Iterator[int | None]:
        """The partial file, ours alone; None when another process has finished it meanwhile."""
        while True:
            fd = os.open(
                download.partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                while not _try_lock(fd):
                    self._pause(_POLL_SECONDS)
                if self._valid(download):
                    yield None
                    return
                if _is_still(download.partial, fd):
                    yield fd
                    return
            finally:
                os.close(fd)

    def _from_anywhere(self, download: Download, fd: int) -> None:
        attempts: list[str] = []
        kinds: list[str] = []
        for uri in download.uris:
            kind = self._from_one(download, fd, uri, attempts)
            if kind is None:
                return
            kinds.append(kind)
        with contextlib.suppress(FileNotFoundError):
            if "hash-mismatch" in kinds:
                download.partial.unlink()
        if "hash-mismatch" in kinds:
            kind = "hash-mismatch"
        elif set(kinds) == {"mirror-gone"}:
            kind = "mirror-gone"
        else:
            kind = "fetch-failed"
        raise FailureError(download.package, kind, attempts)

    def _from_one(self, download: Download, fd: int, uri: str, attempts: list[str]) -> str | None:
        """Try one URI; None when the file is complete and right, else what kind of failure."""
        kind = "fetch-failed"
        fresh = False
        for attempt in range(TRIES):
            if attempt:
                self._pause(PAUSES[min(attempt, len(PAUSES)) - 1])
            before = self.received
            try:
                self._transfer(download.package, fd, uri, fresh=fresh)
                return None
            except GoneError as error:
                self.received = before
                attempts.append(f"{uri}: {error}")
                return "mirror-gone"
            except RefusedError as error:
                self.received = before
                attempts.append(f"{uri}: refused: {error}")
                return "fetch-failed"
            except _MismatchError as error:
                self.received = before
                os.ftruncate(fd, 0)
                attempts.append(f"{uri}: {error}")
                kind = "hash-mismatch"
                if fresh and not error.resumed:
                    break
                # a cache on the way may be wrong, or what an earlier run left: once more, anew
                fresh = True
            except UnavailableError as error:
                self.received = before
                attempts.append(f"{uri}: {error}")
                kind = "fetch-failed"
            finally:
                self.busy = False
        return kind

    def _transfer(self, package: LockedPackage, fd: int, uri: str, *, fresh: bool) -> None:
        """One request, resumed where the partial file ends."""
        digest = hashlib.sha256()
        have = os.fstat(fd).st_size
        if have > package.size:
            os.ftruncate(fd, 0)
            have = 0
        resumed = have > 0
        os.lseek(fd, 0, os.SEEK_SET)
        left = have
        while left and (chunk := os.read(fd, min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
        self.received += have
        if have < package.size:
            self.busy = True
            body = self.transport.get(uri, start=have, fresh=fresh)
            if body.start != have:
                self.received -= have
                have, resumed, digest = 0, False, hashlib.sha256()
                os.ftruncate(fd, 0)
            os.lseek(fd, have, os.SEEK_SET)
            if body.total is not None and body.total != package.size:
                raise _MismatchError(f"{body.total} bytes are served", resumed=resumed)
            for chunk in body.chunks:
                if self._stop_event.is_set():
                    raise _StoppedError
                have += len(chunk)
                self.received += len(chunk)
                self.transferred += len(chunk)
                if have > package.size:
                    raise _MismatchError("more bytes are served than were locked", resumed=resumed)
                digest.update(chunk)
                _write(fd, chunk)
            self.busy = False
        if have < package.size:
            raise UnavailableError(f"ended after {have} bytes")
        if digest.hexdigest() != package.sha256:
            raise _MismatchError(f"has SHA256 {digest.hexdigest()}", resumed=resumed)

    def _pause(self, seconds: float) -> None:
        if self._stop_event.wait(seconds):
            raise _StoppedError


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, fd: int) -> bool:
    """Whether the file behind `fd` still has its name: its former holder may have renamed it."""
    try:
        named = os.lstat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
