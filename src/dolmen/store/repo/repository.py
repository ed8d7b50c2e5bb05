"""A repository: where it lies, its mode, its refs and its objects' bytes."""

from __future__ import annotations

import os

from dolmen.store.reserved import OURS as OURS
from dolmen.support.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODES = ("bare", "bare-user", "bare-user-only", "archive", "archive-z2")
METADATA = ("commit", "dirtree", "dirmeta")
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_PIECE = 1 << 16
_DIGITS = frozenset("0123456789abcdef")


class Repository:
    """A repository of any mode, read from its files.

    `owner` is the Dolmen store that the repository is the heart of, or None: there, refs that keep
    images and packages are not to be moved by hand, and only `dolmen gc` collects.
    """

    def __init__(self, path: str | Path, *, depth: int = 0) -> None:
        """Open what is there.

        Raises StoreError ("no-repository", "store-read-only", "store-failed").
        """
        self.path = os.path.abspath(path)
        self.objects = f"{self.path}/objects"
        try:
            self.text = slurp(f"{self.path}/config").decode(errors="replace")
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise unreadable(error) from None
            raise StoreError(
                f"there is no repository: {path}: No such file or directory",
                reason="no-repository",
                hint="dolmen store --repo=DIR init",
            ) from None
        if not os.path.isdir(f"{self.path}/tmp"):
            # Copies that leave empty directories out (git, some backups) are mended, as by ostree.
            try:  # noqa: SIM105  # to import contextlib would cost more than it saves here
                os.mkdir(f"{self.path}/tmp")
            except OSError:
                pass
        self.mode = self.setting("mode", "bare")
        if self.setting("repo_version", "1") != "1" or self.mode not in MODES:
            what = f"mode {self.mode}" if self.mode not in MODES else "version"
            raise StoreError(
                f"Invalid {what} in repository configuration: {self.path}",
                reason="store-failed",
                hint=f"cat {self.path}/config",
            )
        self.archive = self.mode in ("archive", "archive-z2")
        self.file_suffix = "filez" if self.archive else "file"
        parent = self.setting("parent", "")
        self.parent = Repository(parent, depth=depth + 1) if parent and depth < 8 else None
        heart = os.path.basename(self.path) == "repo" and os.path.isfile(f"{self.path}/../format")
        self.owner = os.path.dirname(self.path) if heart else None

    def setting(self, key: str, default: str, section: str = "core") -> str:
        """A value of the configuration (a key file, desktop-entry-spec's syntax)."""
        here = False
        found = default
        for line in self.text.splitlines():
            line = line.strip()
            if line.startswith("["):
                here = line == f"[{section}]"
            elif here and "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                if name.strip() == key:
                    found = value.strip()
        return found

    def sections(self) -> list[str]:
        """The names of the configuration's sections."""
        lines = (line.strip() for line in self.text.splitlines())
        return [line[1:-1] for line in lines if line.startswith("[") and line.endswith("]")]

    def flag(self, key: str) -> bool:
        """A yes or no of [core]; no where nothing is said."""
        return self.setting(key, "false") in ("true", "1")

    @property
    def collection(self) -> str | None:
        """The collection that this repository's own refs belong to."""
        return self.setting("collection-id", "") or None

    # Objects

    def place(self, checksum: str, kind: str) -> str:
        """Where an object lies, or would lie; `kind`: "file", "commit", "dirtree", "dirmeta" …"""
        suffix = self.file_suffix if kind == "file" else kind
        return f"{self.objects}/{checksum[:2]}/{checksum[2:]}.{suffix}"

    def has(self, checksum: str, kind: str) -> bool:
        """Whether an object is here or in a parent repository."""
        if os.path.lexists(self.place(checksum, kind)):
            return True
        return self.parent is not None and self.parent.has(checksum, kind)

    def read(self, checksum: str, kind: str) -> bytes:
        """A metadata object's bytes; raises StoreError ("object-missing", "store-failed")."""
        try:
            return slurp(f"{self.objects}/{checksum[:2]}/{checksum[2:]}.{kind}")
        except FileNotFoundError:
            if self.parent is not None:
                return self.parent.read(checksum, kind)
            raise missing(checksum, kind) from None
        except OSError as error:
            raise unreadable(error) from None

    def names(self, kind: str, prefix: str = "") -> Iterator[str]:
        """The checksums of all objects of a kind that lie here, parents' left out, in order."""
        end = "." + (self.file_suffix if kind == "file" else kind)
        for head in self._heads(prefix[:2]):
            rest = prefix[2:]
            for name in sorted(os.listdir(f"{self.objects}/{head}")):
                if name.endswith(end) and len(name) == 62 + len(end) and name.startswith(rest):
                    yield head + name[:62]

    def _heads(self, prefix: str) -> list[str]:
        if len(prefix) == 2:
            return [prefix] if os.path.isdir(f"{self.objects}/{prefix}") else []
        try:
            found = os.listdir(self.objects)
        except OSError as error:
            raise unreadable(error) from None
        return sorted(n for n in found if len(n) == 2 and n.startswith(prefix) and {*n} <= _DIGITS)

    def commits(self, prefix: str = "") -> list[str]:
        """The commits whose checksums begin so, here and in the parent repositories."""
        found = set(self.names("commit", prefix))
        if self.parent is not None:
            found.update(self.parent.commits(prefix))
        return sorted(found)

    def state(self, checksum: str) -> str:
        """What its mark says of a commit: "" (whole), "partial" (a pull of a part), "fsck"."""
        try:
            mark = slurp(f"{self.path}/state/{checksum}.commitpartial")
        except OSError:
            return ""
        # libostree writes `f` where it was fsck that found out.
        return "fsck" if mark[:1] == b"f" else "partial"

    def refuse_collecting(self) -> None:
        """Raise StoreError ("store-own") where Dolmen's own collector is the one to ask."""
        if self.owner is not None:
            raise StoreError(
                "this repository is the store's own: what it needs is known to its roots",
                reason="store-own",
                hint="dolmen gc",
            )


def slurp(path: str) -> bytes:
    """A small file's bytes, in three system calls."""
    fd = os.open(path, _FLAGS)
    try:
        data = os.read(fd, _PIECE)
        if len(data) == _PIECE:
            pieces = [data]
            while data := os.read(fd, _PIECE << 4):
                pieces.append(data)
            data = b"".join(pieces)
        return data
    finally:
        os.close(fd)


def missing(checksum: str, kind: str) -> StoreError:
    """The error for an object that is not there, in libostree's words."""
    what = f"Couldn't find file object '{checksum}'"
    if kind != "file":
        what = f"No such metadata object {checksum}.{kind}"
    return StoreError(what, reason="object-missing", hint="dolmen store fsck")


def damaged(checksum: str, kind: str) -> StoreError:
    """The error for an object that cannot be understood."""
    return StoreError(
        f"Corrupted {kind} object {checksum}", reason="object-damaged", hint="dolmen store fsck"
    )


def unreadable(error: OSError) -> StoreError:
    """The error for what the system said."""
    where = f": {error.filename}" if error.filename else ""
    reason, hint = "store-failed", "dolmen store fsck"
    if error.errno in (1, 13, 30):  # EPERM, EACCES, EROFS
        reason, hint = "store-read-only", "dolmen store --repo=DIR …"
    elif error.errno in (28, 122):  # ENOSPC, EDQUOT
        reason, hint = "store-full", "free space there, for example with: dolmen gc"
    return StoreError(f"{error.strerror or error}{where}", reason=reason, hint=hint)
