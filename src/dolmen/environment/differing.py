"""The difference of two generations (or locks): packages, files, configuration, changelogs.

Packages come from the locks, files from the images' trees in the store (metadata only, equal
directories are not read), changelogs from the images' own /usr/share/doc. Where an image is not in
the store, or only a lock was named, there are packages only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dolmen.environment import generations
from dolmen.environment.changes import Change, Changes, compare
from dolmen.environment.layout import Environment
from dolmen.environment.recorded import lock_of
from dolmen.model import Lock, LockedPackage, Sha256, parse_lock
from dolmen.model.changelog import ChangelogEntry, cve_numbers, parse_changelog
from dolmen.store import Store
from dolmen.store.compare import TreeDifference, TreeReader
from dolmen.support.errors import DeclarationError, DolmenError

_MAX_CHANGELOG = 16 << 20
_MAX_TEXT = 512 << 10
_INFO = "/var/lib/dpkg/info"
#: dpkg's and apt's records of the image: they change with every package and say nothing new.
_RECORDS = ("/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/", "/etc/ld.so.cache")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: what it was called, its number if it is a generation, lock and image."""

    label: str
    lock: Lock
    number: int | None = None
    commit: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class PackageDifference:
    """A package that came, went or changed; `size`: bytes unpacked, more or less than before."""

    change: Change
    source: str
    size: int


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """What changed in one source package between two versions.

    `undone`: the way leads back to an older version, so these entries no longer hold. `packages`:
    those of the environment that are built from it. `news`: from NEWS.Debian.
    """

    source: str
    before: str
    after: str
    packages: tuple[str, ...]
    entries: tuple[ChangelogEntry, ...]
    news: tuple[ChangelogEntry, ...] = ()
    undone: bool = False

    @property
    def cves(self) -> tuple[str, ...]:
        """The CVE numbers mentioned in the entries."""
        return cve_numbers(line for entry in self.entries for line in entry.lines)


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A path that differs; `conffile`: dpkg would ask before it changes this file."""

    path: str
    what: str
    conffile: bool = False
    patch: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """All of it. `files`: None where one of the images is not in the store.

    `cves`: numbers that the changelogs of newer versions mention, most often as fixed;
    `undone_cves`: those that the newer version, which was given up, mentioned.
    """

    before: Side
    after: Side
    changes: Changes
    packages: tuple[PackageDifference, ...]
    sources: tuple[SourceChanges, ...] = ()
    files: tuple[FileDifference, ...] | None = None
    cves: tuple[str, ...] = ()
    undone_cves: tuple[str, ...] = ()


def side(environment: Environment | None, reference: str, store: Store | None) -> Side:
    """What a user means by a number, a name, `-`, `@` (what is live) or the path of a lock.

    Raises DeclarationError ("no-generation", "no-lock", "bad-lock").
    """
    path = Path(reference)
    if path.name.endswith(".lock") and path.is_file():
        return Side(reference, parse_lock(path.read_text(encoding="utf-8", errors="replace")))
    if environment is None:
        raise DeclarationError(
            f"there is no lock {reference[:80]}",
            reason="no-lock",
            context=str(path.absolute()),
            hint="dolmen diff OLD.lock NEW.lock",
        )
    if reference == "@":
        live = generations.current_number(environment)
        if live is None:
            raise DeclarationError(
                "there is no generation yet",
                reason="no-generation",
                context=str(environment.directory),
                hint="dolmen install",
            )
        reference = str(live)
    number = generations.find(environment, reference)
    record = generations.read(environment, number)
    lock = lock_of(environment, number)
    if lock is None:
        raise DeclarationError(
            f"the lock of generation {number} cannot be read",
            reason="bad-lock",
            context=str(generations.directory_of(environment, number)),
            hint="dolmen generations",
        )
    commit = store.resolve(f"image/{record.generation.image}") if store is not None else None
    return Side(f"generation {number}", lock, number, commit)


def difference(
    before: Side,
    after: Side,
    store: Store | None,
    *,
    patches: str = "none",
) -> Difference:
    """Compare; `patches`: unified diffs of "none", "conf" (configuration) or "all" text files."""
    changes = compare(before.lock, after.lock)
    old = {p.key: p for p in before.lock.packages}
    new = {p.key: p for p in after.lock.packages}
    packages = tuple(
        _package(change, old.get(key), new.get(key))
        for change in sorted(
            (*changes.added, *changes.removed, *changes.changed),
            key=lambda change: (change.name, change.architecture),
        )
        for key in [(change.name, change.architecture)]
    )
    if store is None or before.commit is None or after.commit is None:
        return Difference(before, after, changes, packages)
    left, right = store.reader(before.commit), store.reader(after.commit)
    sources = tuple(_sources(changes, old, new, left, right))
    cves = {number for one in sources if not one.undone for number in one.cves}
    undone = {number for one in sources if one.undone for number in one.cves}
    return Difference(
        before,
        after,
        changes,
        packages,
        sources,
        tuple(_files(store.compare(before.commit, after.commit), left, right, patches)),
        cve_numbers(cves),
        cve_numbers(undone),
    )


def _package(
    change: Change, old: LockedPackage | None, new: LockedPackage | None
) -> PackageDifference:
    package = new or old
    assert package is not None
    size = (new.installed_size if new else 0) - (old.installed_size if old else 0)
    return PackageDifference(change, _source(package)[0], size * 1024)


def _source(package: LockedPackage) -> tuple[str, str]:
    """A binary package's source and its version; a rebuild (+b1) has the source's version."""
    name, _, version = package.source.partition(" (")
    version = version.rstrip(")") or package.version
    head, plus, build = version.rpartition("+b")
    if plus and build.isdecimal():
        version = head
    return name or package.name, version


# Changelogs


def _sources(
    changes: Changes,
    old: dict[tuple[str, str], LockedPackage],
    new: dict[tuple[str, str], LockedPackage],
    left: TreeReader,
    right: TreeReader,
) -> Iterator[SourceChanges]:
    from dolmen.archive import compare_versions

    grouped: dict[tuple[str, str, str], list[str]] = {}
    for change in changes.changed:
        key = (change.name, change.architecture)
        name, to = _source(new[key])
        _, start = _source(old[key])
        if start != to:
            names = grouped.setdefault((name, start, to), [])
            if change.name not in names:
                names.append(change.name)
    for (name, start, to), packages in sorted(grouped.items()):
        undone = compare_versions(start, to) > 0
        low, high, reader = (to, start, left) if undone else (start, to, right)

        def between(entry: ChangelogEntry, low: str = low, high: str = high) -> bool:
            return (
                compare_versions(entry.version, low) > 0
                and compare_versions(entry.version, high) <= 0
            )

        entries: tuple[ChangelogEntry, ...] = ()
        news: tuple[ChangelogEntry, ...] = ()
        for package in packages:
            entries = entries or tuple(filter(between, _read(reader, package, _CHANGELOGS)))
            news = news or tuple(filter(between, _read(reader, package, _NEWS)))
        yield SourceChanges(name, start, to, tuple(packages), entries, news, undone)


#: A native package's changelog has no "Debian" in its name (policy 12.7).
_CHANGELOGS = ("changelog.Debian.gz", "changelog.gz", "changelog.Debian", "changelog")
_NEWS = ("NEWS.Debian.gz", "NEWS.Debian")


def _read(reader: TreeReader, package: str, names: tuple[str, ...]) -> tuple[ChangelogEntry, ...]:
    for name in names:
        try:
            content = reader.read(f"/usr/share/doc/{package}/{name}", _MAX_CHANGELOG)
            if content is None:
                continue
            if name.endswith(".gz"):
                # Bounded: what a package claims to be a changelog may be a bomb.
                content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(
                    content, _MAX_CHANGELOG
                )
        except (zlib.error, DolmenError):
            continue
        found = parse_changelog(content.decode("utf-8", "replace"))
        if found:
            return found
    return ()


# Files


def _files(
    found: Iterator[TreeDifference], left: TreeReader, right: TreeReader, patches: str
) -> Iterator[FileDifference]:
    conffiles = _conffiles(left) | _conffiles(right)
    for one in found:
        if one.path.startswith(_RECORDS) or (one.kind_before or one.kind_after) == "d":
            continue
        conffile = one.path in conffiles
        wanted = patches == "all" or (patches == "conf" and one.path.startswith("/etc/"))
        patch = tuple(_patch(one, left, right)) if wanted else ()
        yield FileDifference(one.path, one.what, conffile, patch)


def _conffiles(reader: TreeReader) -> frozenset[str]:
    paths: set[str] = set()
    for name in reader.names(_INFO):
        if name.endswith(".conffiles"):
            content = reader.read(f"{_INFO}/{name}", _MAX_TEXT) or b""
            lines = content.decode("utf-8", "replace").splitlines()
            paths.update(line.strip() for line in lines if line.startswith("/"))
    return frozenset(paths)


def _patch(one: TreeDifference, left: TreeReader, right: TreeReader) -> Iterator[str]:
    import difflib

    before, after = (
        _text(left, one.before, one.kind_before),
        _text(right, one.after, one.kind_after),
    )
    if before is None or after is None:
        return
    yield from difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        f"a{one.path}" if one.kind_before else "/dev/null",
        f"b{one.path}" if one.kind_after else "/dev/null",
        lineterm="",
    )


def _text(reader: TreeReader, checksum: str, kind: str) -> str | None:
    """A file's text, a link as git shows it; None for what is no text or too large."""
    if not kind:
        return ""
    if kind == "l":
        return f"link to {reader.objects.link_target(checksum)}\n"
    if reader.objects.size(checksum) > _MAX_TEXT:
        return None
    content = reader.objects.read(checksum)
    if b"\0" in content[:8000]:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
