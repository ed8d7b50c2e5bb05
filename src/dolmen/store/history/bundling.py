"""Commits with all that they need as one file: a tar of a repository (mode archive).

Whoever has no Dolmen unpacks it, and reads it with `ostree --repo=DIRECTORY`. Ours reads no name of
it that is not an object's or a ref's, and believes no object before its checksum was computed.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dolmen.store.history import configuration
from dolmen.store.history.pulling import pull_local
from dolmen.store.history.pushing import guarded, updates
from dolmen.store.history.references import refs
from dolmen.store.history.repository import History, told
from dolmen.store.history.revisions import resolve
from dolmen.store.tar import TarReader
from dolmen.support.errors import PackageError
from dolmen.support.files import sync_directory

#: Bytes; a bundle that is larger is refused unless the caller says otherwise.
LIMIT = 64 << 30
_OBJECT = re.compile(
    r"objects/[0-9a-f]{2}/[0-9a-f]{62}\.(?:filez|dirtree|dirmeta|commit|commitmeta)"
)
_REF = re.compile(r"refs/heads/((?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*)")
_SHA256 = re.compile(rb"[0-9a-f]{64}\n?")
_READ = 1 << 20
_DIRECTORIES = ("objects", "refs", "refs/heads", "refs/mirrors", "refs/remotes", "tmp")


@dataclass(frozen=True, slots=True)
class Bundled:
    """The refs of a bundle and their commits; of an import, those that moved."""

    refs: dict[str, str]


def write_bundle(
    history: History, names: Sequence[str], target: Path, *, depth: int = -1
) -> Bundled:
    """Write refs (or commits, under their checksums as names) with `depth` parents to a file.

    The file is there whole or not at all, and durable. The same commits give the same bytes where
    zlib is the same. Raises StoreError ("no-revision", "object-missing", "store-full", …).
    """
    commits = {name: resolve(history, name) for name in names}
    with history.scratch() as work, told():
        repo = _archive(work)
        pull_local(
            repo, history.path, list(dict.fromkeys(commits.values())), depth=depth, sync=False
        )
        for name, checksum in commits.items():
            repo.repo.set_ref_immediate(None, name, checksum, None)
        temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
        try:
            with open(temporary, "xb") as stream:
                _pack(work / "repo", stream)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.rename(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.absolute().parent)
    return Bundled(commits)


def read_bundle(
    history: History,
    source: Path,
    *,
    rename: str | None = None,
    force: bool = False,
    limit: int = LIMIT,
) -> Bundled:
    """Take the refs of a bundle, with their commits; all objects are checked, refs come last.

    `rename`: the name that its only ref shall have here. Raises PackageError ("bad-bundle",
    "bad-tar", "truncated", "unsafe-path", "too-large"), StoreError ("not-fast-forward",
    "object-damaged", "ref-reserved", …).
    """
    with history.scratch() as work, told():
        repo = _archive(work)
        with open(source, "rb") as stream:
            _unpack(stream, work / "repo", limit)
        found = refs(History.open(repo.path))
        if not found or (rename is not None and len(found) != 1):
            raise _bad("it has no ref" if not found else "it has several refs")
        wanted = {rename or name: checksum for name, checksum in found.items()}
        for name in wanted:
            history.refuse_ours(name)
        with guarded(history):
            pull_local(
                history, repo.path, list(dict.fromkeys(wanted.values())), depth=-1, untrusted=True
            )
            updates(history, wanted, force=force)
    return Bundled(wanted)


def _archive(work: Path) -> History:
    made = History.create(work / "repo", "archive")
    configuration.change(made, "archive", "zlib-level", "3")
    configuration.change(made, "core", "fsync", "false")
    configuration.change(made, "core", "min-free-space-percent", "0")
    return History.open(work / "repo")


def _pack(repo: Path, stream: IO[bytes]) -> None:
    archive = tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
    names = list(_DIRECTORIES)
    for directory, _, files in os.walk(repo):
        below = os.path.relpath(directory, repo)
        if below == "objects" or below.startswith(("objects/", "refs/")):
            names.append(below)
            names += [f"{below}/{name}" for name in files]
    _text(archive, "config", b"[core]\nrepo_version=1\nmode=archive-z2\n")
    for name in sorted(set(names)):
        path = repo / name
        member = tarfile.TarInfo(name)
        if path.is_file():
            member.mode, member.size = 0o644, path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(member, content)
        else:
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
    archive.close()


def _text(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    import io

    member = tarfile.TarInfo(name)
    member.mode, member.size = 0o644, len(content)
    archive.addfile(member, io.BytesIO(content))


def _unpack(stream: IO[bytes], repo: Path, limit: int) -> None:
    try:
        reader = TarReader(iter(lambda: stream.read(_READ), b""), limit=limit)
        for entry in reader:
            if entry.kind == "d" or entry.path == "config":
                continue
            if entry.kind != "f":
                raise _bad(f"{entry.path[:80]!r} is no file")
            path = repo / entry.path
            if _OBJECT.fullmatch(entry.path):
                path.parent.mkdir(exist_ok=True)
                with open(path, "xb") as target:
                    for piece in reader.content():
                        target.write(piece)
            elif _REF.fullmatch(entry.path):
                content = reader.whole() if entry.size <= 65 else b""
                if not _SHA256.fullmatch(content):
                    raise _bad(f"{entry.path[:80]!r} names no commit")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            else:
                raise _bad(f"{entry.path[:80]!r} has no place in it")
    except FileExistsError:
        raise _bad("it has a name twice") from None


def _bad(what: str) -> PackageError:
    return PackageError(
        f"this is no repository in a tar: {what}",
        reason="bad-bundle",
        hint="dolmen store import --help",
    )
