"""Putting right what a check found, one rename at a time.

A damaged file keeps its name until its replacement is there, verified and durable; then it gets a
second name in the store's `quarantine/` and loses the first to the replacement, at once. So a kill
anywhere leaves what was there or what is right, and the same again finishes the work. Nothing is
deleted: whoever is sure of that removes the quarantine.

The caller holds the store's lock exclusively.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from dolmen.store.examining import disk_mode, examine, examine_path
from dolmen.store.objects import (
    XATTR,
    Attributes,
    Objects,
    decode_attributes,
    file_header,
    full_header,
    root_checksum,
)
from dolmen.store.reading import Reading
from dolmen.store.store import Store
from dolmen.store.transaction import sync_file_system
from dolmen.store.usage import ObjectName, all_objects
from dolmen.support.files import symlink_atomic, sync_directory, write_atomic

QUARANTINE = "quarantine"
_PIECE = 1 << 20
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
#: What a file most likely was, if its attribute is lost: its own mode, then the usual ones.
_USUAL = (0o644, 0o755, 0o444, 0o555, 0o600, 0o640, 0o664, 0o775)


class Mender:
    """Mends one store; `work` is a directory on its file system that goes away at the end."""

    def __init__(self, store: Store, work: Path) -> None:
        self.store = store
        self.objects = Objects(store.path / "repo")
        self._work = work
        self._quarantine: Path | None = None
        #: Objects that have another file now.
        self.replaced: set[ObjectName] = set()

    @property
    def quarantine(self) -> Path | None:
        """Where that went which was replaced; None where nothing was."""
        return self._quarantine

    def place(self, name: str) -> Path:
        """A place in the quarantine that is free."""
        if self._quarantine is None:
            base = self.store.path / QUARANTINE
            base.mkdir(exist_ok=True, mode=0o700)
            self._quarantine = base / secrets.token_hex(6)
            self._quarantine.mkdir(mode=0o700)
            sync_directory(base)
        found = self._quarantine / name
        while os.path.lexists(found):
            found = self._quarantine / f"{name}.{secrets.token_hex(3)}"
        return found

    def directory(self, path: Path) -> None:
        """One of the store's own directories: there, a directory, ours to use."""
        if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
            self.aside(path)
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.chmod(0o755)

    # Objects

    def in_place(self, checksum: str, kind: str) -> bool:
        """Set right what is only beside the content (modes, attributes, time); whether it was."""
        path = self.objects.path(checksum, kind)
        with contextlib.suppress(OSError, ValueError):
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode):
                return False
            if status.st_uid != os.geteuid():
                os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
            if status.st_mode & 0o600 != 0o600:
                os.chmod(path, stat.S_IMODE(status.st_mode) | 0o600)
            for name in os.listxattr(path, follow_symlinks=False):
                if name != XATTR and name.startswith("user."):
                    os.removexattr(path, name)
            if kind != "file":
                os.chmod(path, 0o644)
            else:
                self._attribute(path, checksum, stat.S_IMODE(status.st_mode))
        return examine(self.objects, checksum, kind) == ""

    def _attribute(self, path: str, checksum: str, mode: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            whole = decode_attributes(os.getxattr(path, XATTR))
            if (whole.uid or whole.gid or whole.xattrs) and _is(path, whole, checksum):
                os.chmod(path, whole.disk_mode)
                os.utime(path, (0, 0))
                return
        candidates = [stat.S_IFREG | m for m in (mode & 0o777, *_USUAL)]
        candidates.append(stat.S_IFLNK | 0o777)
        with contextlib.suppress(OSError):
            candidates.insert(0, int.from_bytes(os.getxattr(path, XATTR)[8:12], "big"))
        for candidate in dict.fromkeys(candidates):
            if _hashes_to(path, candidate, checksum):
                os.setxattr(path, XATTR, bytes(8) + candidate.to_bytes(4, "big"))
                os.chmod(path, disk_mode(candidate))
                os.utime(path, (0, 0))
                return

    def take(self, repo: Path, bad: Iterable[ObjectName]) -> set[ObjectName]:
        """Fill from another repository what is bad or missing here; what was mended."""
        damaged = set(bad)
        wanted = [
            (name, path)
            for name, path in all_objects(repo)
            if name[1] != "commitmeta" and (name in damaged or not self.objects.has(*name))
        ]
        return self.put(wanted)

    def put(self, candidates: Iterable[tuple[ObjectName, str]]) -> set[ObjectName]:
        """Make files objects, those that really are what their names say."""
        good = [(n, path) for n, path in candidates if examine_path(path, *n) == ""]
        if good:
            sync_file_system(self.store.path)
        for (checksum, kind), path in good:
            final = Path(self.objects.path(checksum, kind))
            fresh = self._work / secrets.token_hex(8)
            os.link(path, fresh)
            final.parent.mkdir(exist_ok=True, mode=0o755)
            self._exchange_file(fresh, final)
            self.replaced.add((checksum, kind))
        if good:
            sync_file_system(self.store.path)
        return {name for name, _ in good}

    def lost_below(self, names: Iterable[ObjectName]) -> set[ObjectName]:
        """What commits and directories that have come refer to, and is missing here or damaged."""
        reading = Reading(self.objects)
        found: set[ObjectName] = set()
        for checksum, kind in names:
            if kind == "commit" and (commit := reading.commit(checksum)) is not None:
                found |= {(commit.meta, "dirmeta"), (commit.tree, "dirtree")}
            elif kind == "dirtree" and (tree := reading.tree(checksum)) is not None:
                found |= {(file, "file") for file in tree.files.values()}
                for child, meta in tree.dirs.values():
                    found |= {(child, "dirtree"), (meta, "dirmeta")}
        # Content was examined already, whoever needs it; what was out of sight was not.
        return {name for name in found if not self.objects.has(*name)}

    def copy(self, path: str, checksum: str) -> tuple[ObjectName, str] | None:
        """A candidate for `put` from a file of a realised tree, if its content is right."""
        name = (checksum, "file")
        if examine_path(path, *name) == "":
            return name, path  # the object itself, which lost its name in the repository
        try:
            status = os.lstat(path)
            mode = status.st_mode
            if stat.S_ISLNK(mode):
                target = os.readlink(path)
                mode = stat.S_IFLNK | 0o777
                if hashlib.sha256(file_header(mode, target)).hexdigest() != checksum:
                    return None
                content = target.encode() + b"\0"
            elif stat.S_ISREG(mode) and _hashes_to(path, mode, checksum):
                content = Path(path).read_bytes()
            else:
                return None
        except (OSError, ValueError):
            return None
        fresh = self._work / secrets.token_hex(8)
        fresh.write_bytes(content)
        os.setxattr(fresh, XATTR, bytes(8) + mode.to_bytes(4, "big"))
        fresh.chmod(disk_mode(mode))
        os.utime(fresh, (0, 0))
        return name, str(fresh)

    def aside(self, path: Path) -> None:
        """Take something out of the way that nobody needs."""
        path.rename(self.place(path.name))
        sync_directory(path.parent)

    def _exchange_file(self, fresh: Path, final: Path) -> None:
        if os.path.lexists(final):
            place = self.place(f"{final.parent.name}{final.name}")
            try:
                os.link(final, place, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EMLINK):
                    raise
                final.rename(place)  # a directory
        fresh.rename(final)

    # What refers to objects

    def is_commit_of(self, commit: str, ref: str) -> bool:
        """Whether a commit is there, and that of this image (of other refs: there)."""
        found = Reading(self.objects).commit(commit)
        kind, _, name = ref.partition("/")
        if found is None:
            return False
        return kind != "image" or root_checksum(found.tree, found.meta) == name

    def ref(self, name: str, commit: str) -> None:
        """Point a ref at a commit."""
        path = self.store.path / "repo/refs/heads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with contextlib.suppress(OSError):
                os.link(path, self.place(f"ref.{name.replace('/', '.')}"))
        write_atomic(path, f"{commit}\n")

    def pointer(self, key: str, root: str) -> None:
        """Point a key at an image."""
        path = self.store.images / key
        if path.exists() and not path.is_symlink():
            self.aside(path)
        symlink_atomic(path, f"../trees/{root}")

    def tree(self, root: str, commit: str) -> None:
        """Make a realised tree anew and exchange it for the one that is there.

        Programs that run in the old one go on in it: it lies in the quarantine then.
        """
        from dolmen.store.checkout import checkout

        found = self.objects.commit(commit)
        fresh = self._work / f"tree-{secrets.token_hex(6)}"
        checkout(self.objects, found.tree, found.meta, fresh, damaged=True)
        sync_file_system(self.store.path)
        final = self.store.trees / root
        if os.path.lexists(final):
            if not _exchange(fresh, final):
                final.rename(self.place(f"tree-{root}"))
                fresh.rename(final)
            else:
                fresh.rename(self.place(f"tree-{root}"))
        else:
            fresh.rename(final)
        sync_directory(self.store.trees)


def _exchange(one: Path, two: Path) -> bool:
    """renameat2(2); False where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = (os.fsencode(one), os.fsencode(two))
    done = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(code, os.strerror(code), str(two))


def _hashes_to(path: str, mode: int, checksum: str) -> bool:
    return _is(path, Attributes(mode), checksum)


def _is(path: str, attributes: Attributes, checksum: str) -> bool:
    with open(path, "rb") as stream:
        if stat.S_ISLNK(attributes.mode):
            target = stream.read(1 << 16)
            if target[-1:] != b"\0":
                return False
            header = full_header(attributes, target[:-1].decode(errors="surrogateescape"))
            return hashlib.sha256(header).hexdigest() == checksum
        if not stat.S_ISREG(attributes.mode):
            return False
        hashed = hashlib.sha256(full_header(attributes))
        while piece := stream.read(_PIECE):
            hashed.update(piece)
    return hashed.hexdigest() == checksum
