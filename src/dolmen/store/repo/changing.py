"""The few changes that checking and pruning make to a repository's files.

Deletions are made under libostree's own lock, so that nobody adds to a tree what is being taken
away. What is written is written whole (support.files).
"""

from __future__ import annotations

import fcntl
import os
import struct

from dolmen.store.repo.repository import unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dolmen.store.repo.repository import Repository

_WAIT = 0.05
#: As libostree's core.lock-timeout-secs.
_SECONDS = 30
#: fcntl.F_OFD_SETLK, which Python names from 3.9 on; struct flock: type, whence, start, length.
_FLOCK = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)


class Exclusive:
    """Holds a repository's lock against all who write to it (ostree_repo_lock_push, exclusive).

    Raises BusyError when it is held by others for 30 s, StoreError where it cannot be written.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._fd = -1

    def __enter__(self) -> None:
        if self._repository.setting("locking", "true") in ("false", "0"):
            return
        path = f"{self._repository.path}/.lock"
        try:
            self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unreadable(error) from None
        from dolmen.support.clock import monotonic

        end = monotonic() + float(self._repository.setting("lock-timeout-secs", str(_SECONDS)))
        while not self._try():
            if monotonic() >= end:
                os.close(self._fd)
                from dolmen.support.errors import BusyError

                raise BusyError(
                    f"Locking repo exclusive failed: others work in {self._repository.path}",
                    hint="try again when they are done",
                )
            import time

            time.sleep(_WAIT)

    def _try(self) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK)
        except BlockingIOError:
            return False
        except OSError:  # a file system without such locks
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def delete_object(repository: Repository, checksum: str, kind: str) -> None:
    """Take an object away; a commit leaves a tombstone where the configuration asks for it."""
    if kind == "commit":
        _unlink(repository.place(checksum, "commitmeta"))
    _unlink(repository.place(checksum, kind))
    if kind == "commit" and repository.flag("tombstone-commits"):
        write_tombstone(repository, checksum)


def write_tombstone(repository: Repository, checksum: str) -> None:
    """Remember that a commit was here: `{'commit': <b'CHECKSUM'>}`."""
    from pathlib import Path

    from dolmen.support.files import write_atomic

    body = b"commit\0\0" + checksum.encode() + b"\0" + b"\0ay" + bytes([7])
    place = repository.place(checksum, "tombstone-commit")
    os.makedirs(os.path.dirname(place), exist_ok=True)
    write_atomic(Path(place), body + bytes([len(body)]))


def enable_tombstones(repository: Repository) -> None:
    """Let commits that go leave tombstones from now on."""
    if repository.flag("tombstone-commits"):
        return
    from pathlib import Path

    from dolmen.support.files import write_atomic

    lines = repository.text.splitlines()
    lines = [line for line in lines if line.partition("=")[0].strip() != "tombstone-commits"]
    place = lines.index("[core]") + 1 if "[core]" in lines else 0
    if not place:
        lines, place = ["[core]", *lines], 1
    while place < len(lines) and lines[place].strip() and not lines[place].startswith("["):
        place += 1
    lines.insert(place, "tombstone-commits=true")
    repository.text = "\n".join(lines) + "\n"
    write_atomic(Path(f"{repository.path}/config"), repository.text.encode())


def mark_partial(repository: Repository, checksum: str) -> bool:
    """Remember that a commit lacks something, found by a check; False: that was known."""
    try:
        os.makedirs(f"{repository.path}/state", exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(f"{repository.path}/state/{checksum}.commitpartial", flags, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise unreadable(error) from None
    try:
        os.write(fd, b"f")
        os.fsync(fd)
    finally:
        os.close(fd)
    return True


def unmark_partial(repository: Repository, checksum: str) -> None:
    """Take that mark away."""
    _unlink(f"{repository.path}/state/{checksum}.commitpartial")


def _unlink(path: str) -> None:
    try:  # noqa: SIM105  # contextlib takes longer to import than a prune of little
        os.unlink(path)
    except FileNotFoundError:
        pass
