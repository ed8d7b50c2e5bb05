"""`diff`: two systems beside each other: packages, kernel, arguments, changelogs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from dolmen.archive import compare_versions
from dolmen.model.changelog import ChangelogEntry, cve_numbers, parse_changelog
from dolmen.store.sysroot import Deployment, Sysroot
from dolmen.support.errors import MachineError
from dolmen.system.machine import packages
from dolmen.system.machine.packages import PackageChange
from dolmen.system.machine.roles import find

_MAX_CHANGELOG = 8 << 20
_CHANGELOGS = ("changelog.Debian.gz", "changelog.gz", "changelog.Debian", "changelog")


@dataclass(frozen=True, slots=True)
class News:
    """What the changelog of a newer version says that the older one's did not."""

    package: str
    entries: tuple[ChangelogEntry, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two deployments; `arguments`: words of the kernel's command line, with + or - before them."""

    before: Deployment
    after: Deployment
    packages: tuple[PackageChange, ...]
    arguments: tuple[str, ...]
    news: tuple[News, ...] = ()
    cves: tuple[str, ...] = ()


def compare(
    sysroot: Sysroot,
    before: str | None = None,
    after: str | None = None,
    *,
    changelogs: bool = False,
) -> Comparison:
    """Compare two deployments; without names what runs and what is pending, else what was before.

    Raises MachineError ("no-deployment", "no-other").
    """
    own = sysroot.own()
    current = sysroot.current()
    if before is None or after is None:
        first, second = _usual(own, current)
    if before is not None:
        first = find(own, before)
        second = find(own, after) if after is not None else (current or first)
    changes = packages.differences(packages.of_deployment(first), packages.of_deployment(second))
    words = [f"-{word}" for word in first.arguments if word not in second.arguments]
    words += [f"+{word}" for word in second.arguments if word not in first.arguments]
    news = tuple(_news(second, changes)) if changelogs else ()
    lines = (line for one in news for entry in one.entries for line in entry.lines)
    return Comparison(first, second, changes, tuple(words), news, cve_numbers(lines))


def _usual(
    own: tuple[Deployment, ...], current: Deployment | None
) -> tuple[Deployment, Deployment]:
    if current is not None and len(own) > 1:
        place = own.index(current)
        return (current, own[0]) if place > 0 else (own[1], current)
    raise MachineError(
        "there are no two deployments to compare",
        reason="no-other",
        hint="dolmen system status",
    )


def _news(after: Deployment, changes: tuple[PackageChange, ...]) -> Iterator[News]:
    seen: set[tuple[str, ...]] = set()
    for change in changes:
        if change.direction != "upgraded" or change.before is None or change.after is None:
            continue
        low, high = change.before, change.after
        entries = tuple(
            entry
            for entry in _changelog(after, change.name)
            if compare_versions(entry.version, low) > 0
            and compare_versions(entry.version, high) <= 0
        )
        # Packages of one source have one changelog.
        key = tuple(f"{entry.version} {' '.join(entry.lines)}" for entry in entries)
        if entries and key not in seen:
            seen.add(key)
            yield News(change.name, entries)


def _changelog(deployment: Deployment, package: str) -> tuple[ChangelogEntry, ...]:
    directory = deployment.path / "usr/share/doc" / package
    for name in _CHANGELOGS:
        try:
            content = (directory / name).read_bytes()[:_MAX_CHANGELOG]
            if name.endswith(".gz"):
                # Bounded: what a package calls a changelog may be a bomb.
                content = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(
                    content, _MAX_CHANGELOG
                )
        except (OSError, zlib.error):
            continue
        found = parse_changelog(content.decode("utf-8", "replace"))
        if found:
            return found
    return ()
