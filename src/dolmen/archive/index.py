"""The signed indexes of one source set (runs in the worker): fetch, verify, remember.

An update works on a copy (hard links) and replaces the index in use only when everything in it was
verified: signature, dates and hashes by apt, the rest by us. A failed or killed update leaves
the index before, and a directory that nobody vouched for (see `_STAMP`) is never read.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apt_pkg

from dolmen.archive.acquire import acquire
from dolmen.archive.marks import Marks
from dolmen.archive.release import Release, check_pinned, lacks, listed_files, read_release
from dolmen.support.clock import monotonic, wall
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, Notice, Phase, PhaseFinished, PhaseStarted
from dolmen.support.files import remove_tree, write_atomic
from dolmen.support.locking import locked as hold

#: Seconds after which an index that may change is fetched again, unless the user says otherwise.
MAX_AGE = 24 * 3600

#: Says which files make the index and in which state; written last.
_STAMP = "index.json"

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Index:
    """The index files below `root`; `sources` as plain values, in the order of sources.list."""

    def __init__(
        self, root: Path, marks: Path, sources: Sequence[Mapping[str, Any]], slow: float, emit: Emit
    ) -> None:
        self._root = root
        self._lists = root / "lists"
        self._marks = Marks(marks)
        self.sources = tuple(sources)
        self._slow = slow
        self._emit = emit
        self.releases: tuple[Release, ...] = ()
        #: Seconds; the caller's setting "refresh-age".
        self.max_age: float = MAX_AGE

    @contextlib.contextmanager
    def opened(self, *, refresh: bool | None, locked: frozenset[str]) -> Iterator[None]:
        """Hold the index, fetched anew where `refresh` says so (see archive.solve).

        `locked`: digests of Release files that may be used although they expired.
        Raises ArchiveError; reason "no-index" when it is missing and must not be fetched.
        """
        lock = self._root / "lock"
        what = "the package index"
        if not self._due(refresh):
            with hold(lock, what=what, shared=True, emit=self._emit):
                if not self._due(refresh):
                    os.utime(lock)
                    yield
                    return
        with hold(lock, what=what, emit=self._emit):
            if self._due(refresh):
                self._update(locked)
            os.utime(lock)
            yield

    def cache(self, more: Path | None = None) -> Any:
        """apt's package cache of this index, read from disk where that is safe.

        `more`: a Packages file to be added to it, for this process only.

        libapt maps pkgcache.bin without checking it and crashes on a damaged one; so it is only
        used when it is the very file that was written last, since this host was started (its
        pages may have been lost in a power cut). Raises ArchiveError ("bad-index").
        """
        path = self._root / "cache/pkgcache.bin"
        note = self._root / "cache/pkgcache.json"
        try:
            known = json.loads(note.read_bytes())
        except (OSError, ValueError):
            known = None
        if known is None or known != _identity(path):
            path.unlink(missing_ok=True)
        if more is not None:
            apt_pkg.config.set("APT::Sources::With::", str(more))
        try:
            cache = apt_pkg.Cache(None)
        except apt_pkg.Error as error:
            raise ArchiveError(
                "apt cannot read the package index",
                reason="bad-index",
                context=str(error).split("\n")[0][:300],
                hint="name another mirror in dolmen.toml, and tell whoever signs this one",
            ) from None
        made = _identity(path)
        if made is not None and made != known:
            write_atomic(note, json.dumps(made))
        return cache

    def further(self, kind: str) -> list[dict[str, Any]]:
        """The indexes of a kind that the verified Release files vouch for, in their order.

        "contents": Contents; "descriptions": the long descriptions in English.
        """
        names = [f"Contents-{name}" for name in (*apt_pkg.get_architectures(), "all")]
        if kind == "descriptions":
            names = ["i18n/Translation-en"]
        found = []
        for release in self.releases:
            components = {
                component.rpartition("/")[2]
                for source in self.sources
                if release.suite in source["suites"] and release.belongs_to(source)
                for component in source["components"]
            }
            stems = {f"{component}/{name}" for component in components for name in names}
            for path, sha256, size, by_hash in listed_files(
                release, self._lists, stems | set(names)
            ):
                directory, _, name = path.rpartition("/")
                base = "/".join(part for part in ("dists", release.suite, directory) if part)
                found.append(
                    {
                        "uri": release.uri,
                        "suite": release.suite,
                        "date": release.date,
                        "name": name,
                        "path": f"{base}/by-hash/SHA256/{sha256}" if by_hash else f"{base}/{name}",
                        "plain": f"{base}/{name}",
                        "sha256": sha256,
                        "size": size,
                    }
                )
        return found

    def _due(self, refresh: bool | None) -> bool:
        if refresh:
            return True
        stamp = self._stamp()
        if stamp is None:
            if refresh is None:
                return True
            raise ArchiveError(
                "the package index was never fetched, and fetching it is not allowed here",
                reason="no-index",
                context=str(self._root),
                hint="dolmen lock",
            )
        self.releases = stamp["releases"]
        if refresh is False or all(source["snapshot"] for source in self.sources):
            return False
        return not 0 <= wall() - stamp["fetched"] <= self.max_age

    def _stamp(self) -> Mapping[str, Any] | None:
        try:
            stamp: Mapping[str, Any] = json.loads((self._root / _STAMP).read_bytes())
            if stamp["files"] == _state(self._lists):
                return {**stamp, "releases": tuple(Release(**r) for r in stamp["releases"])}
        except (OSError, ValueError, KeyError, TypeError):
            # missing, damaged, or of another version of Dolmen
            pass
        return None

    def _update(self, locked: frozenset[str]) -> None:
        started = monotonic()
        self._emit(PhaseStarted(Phase.UPDATE))
        fresh = self._root / "lists.new"
        known = self._stamp() is not None
        _copy(self._lists if known else None, fresh)
        apt_pkg.config.set("Dir::State::lists", f"{fresh}/")
        before = {r.file_name: r for r in self._read(fresh)} if known else {}
        size = acquire(before, self._slow, self._emit)
        releases = self._read(fresh)
        for release, source in zip(releases, self._source_of(releases), strict=True):
            if source["snapshot"]:
                check_pinned(release, source["snapshot"], locked)
            else:
                self._marks.check(release, source)
            for what in lacks(release, source, apt_pkg.get_architectures()):
                text = f"{release.uri} has no {what} in suite {release.suite}"
                self._emit(Notice(text, "warning"))
        for release, source in zip(releases, self._source_of(releases), strict=True):
            if not source["snapshot"]:
                self._marks.record(release, source)
        remove_tree(fresh / "partial")
        old = self._root / "lists.old"
        if old.exists():
            remove_tree(old)
        if self._lists.exists():
            self._lists.rename(old)
        fresh.rename(self._lists)
        apt_pkg.config.set("Dir::State::lists", f"{self._lists}/")
        stamp = {
            "fetched": wall(),
            "files": _state(self._lists),
            "releases": [asdict(release) for release in releases],
        }
        write_atomic(self._root / _STAMP, json.dumps(stamp))
        if old.exists():
            remove_tree(old)
        self.releases = releases
        self._emit(PhaseFinished(Phase.UPDATE, len(releases), monotonic() - started, size))

    def _read(self, lists: Path) -> tuple[Release, ...]:
        """The Release files that the source list names, in its order."""
        sources = apt_pkg.SourceList()
        sources.read_main_list()
        found: dict[str, Release] = {}
        for entry in sources.list:
            release = read_release(lists, entry.uri, entry.dist)
            found[release.suite_uri] = release
        return tuple(found.values())

    def _source_of(self, releases: Sequence[Release]) -> list[Mapping[str, Any]]:
        """For each Release file the source that asked for it."""
        found = []
        for release in releases:
            for source in self.sources:
                if release.suite in source["suites"] and release.belongs_to(source):
                    found.append(source)
                    break
            else:
                raise ArchiveError(f"no source asked for {release.uri} {release.suite}")
        return found


def _copy(lists: Path | None, fresh: Path) -> None:
    """Begin a new index from the one in use; partial downloads stay, apt checks their hashes."""
    fresh.mkdir(exist_ok=True)
    (fresh / "partial").mkdir(exist_ok=True)
    for path in fresh.iterdir():
        if path.name not in ("partial", "auxfiles"):
            remove_tree(path)
    if lists is not None:
        for path in lists.iterdir():
            if path.is_file() and path.name != "lock":
                os.link(path, fresh / path.name)


def _identity(path: Path) -> list[Any] | None:
    try:
        found = path.stat()
        return [found.st_size, found.st_mtime_ns, found.st_ino, _BOOT.read_text().strip()]
    except OSError:
        return None


def _state(lists: Path) -> dict[str, list[int]]:
    """Size and time of every index file: what a change by anybody else would alter."""
    state: dict[str, list[int]] = {}
    with os.scandir(lists) as entries:
        for entry in entries:
            if entry.name != "lock" and entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                state[entry.name] = [found.st_size, found.st_mtime_ns]
    return state
