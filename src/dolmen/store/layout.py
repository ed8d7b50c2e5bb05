"""Where the store lies, what is in it, and when it is not used."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from dolmen.support.errors import StoreError
from dolmen.support.files import write_atomic
from dolmen.support.locking import locked

FORMAT = 1

#: repo: libostree's; trees: realised ones by root checksum; images: by key; roots: what gc must
#: keep; archive: apt state; debs: downloaded .debs; tmp: quarantine, all of it garbage. Made when
#: needed: leases (what roots needed when last seen), logs, shells, quarantine (of `repair`).
DIRECTORIES = ("trees", "images", "roots", "archive", "debs", "locks", "tmp")


def store_path(explicit: Path | None = None) -> Path:
    """Where the store lies: `explicit`, DOLMEN_STORE, /var/lib/dolmen for root, the user's data."""
    if explicit is not None:
        return explicit.absolute()
    if named := os.environ.get("DOLMEN_STORE"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/dolmen")
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path in there is to be ignored.
    base = Path(data) if data.startswith("/") else Path.home() / ".local/share"
    return base / "dolmen"


def prepare(path: Path, *, looking: bool = False) -> None:
    """Check the store at `path`, and make it on first use; `looking`: it may be read-only.

    Raises StoreError: "store-format", "store-foreign", "store-no-xattrs", "store-read-only",
    "store-full", "store-failed".
    """
    try:
        if not (path / "format").exists():
            _create(path)
        _check(path, looking)
    except OSError as error:
        raise _failed(path, error) from None


def _check(path: Path, looking: bool) -> None:
    status = os.stat(path)
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"the store {path} belongs to user {status.st_uid}, not to you ({os.geteuid()})",
            reason="store-foreign",
            hint="use a store of your own: dolmen --store DIRECTORY, or unset DOLMEN_STORE",
        )
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise StoreError(
            f"the store {path} can be written by others",
            reason="store-foreign",
            hint=f"chmod go-w {path}",
        )
    text = (path / "format").read_text(errors="replace").strip()
    if text != str(FORMAT):
        raise StoreError(
            f"the store {path} has format {text[:20]!r}; this Dolmen reads format {FORMAT}",
            reason="store-format",
            hint="use the Dolmen that wrote it, or another store: dolmen --store DIRECTORY",
        )
    if not looking and not os.access(path / "tmp", os.W_OK):
        raise _failed(path, OSError(errno.EROFS, "read-only"))


def _create(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o755)
    if os.stat(path).st_uid != os.geteuid():
        return  # refused by the check, with its reason
    foreign = [name for name in os.listdir(path) if name not in (*DIRECTORIES, "repo")]
    if foreign:
        raise StoreError(
            f"{path} is neither a store nor empty: it holds {foreign[0]!r}",
            reason="store-format",
            hint="name another directory: dolmen --store DIRECTORY",
        )
    with locked(path / "locks" / "create", what="the store's creation"):
        if (path / "format").exists():
            return
        for name in DIRECTORIES:
            (path / name).mkdir(exist_ok=True, mode=0o755)
        _probe_xattrs(path)
        if not (path / "repo").is_dir():
            from dolmen.store.repository import create_repository
            from dolmen.store.scratch import scratch

            with scratch(path / "tmp") as work:
                create_repository(work / "repo")
                (work / "repo").rename(path / "repo")
        write_atomic(path / "format", f"{FORMAT}\n")


def _probe_xattrs(path: Path) -> None:
    """libostree keeps modes and owners in a user xattr; tmpfs has those since Linux 6.6 only."""
    probe = path / "tmp" / f"probe.{os.getpid()}"
    probe.write_bytes(b"")
    try:
        os.setxattr(probe, "user.ostreemeta", bytes(12))
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise
        raise StoreError(
            f"the file system of {path} has no user extended attributes",
            reason="store-no-xattrs",
            hint="put the store on ext4, xfs or btrfs: dolmen --store DIRECTORY",
        ) from None
    finally:
        probe.unlink()


def _failed(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreError(
            f"the store {path} cannot be written: {error.strerror}",
            reason="store-read-only",
            hint="name another directory: dolmen --store DIRECTORY",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            "no space left on the store's file system",
            reason="store-full",
            context=str(path),
            hint=f"df -h -i {path}",
        )
    return StoreError(
        f"the store {path} cannot be used: {error.strerror or error}",
        reason="store-failed",
        context=os.fsdecode(error.filename or path),
        hint="dolmen doctor",
    )
