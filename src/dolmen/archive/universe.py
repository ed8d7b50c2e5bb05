"""The packages of an opened cache and what may be chosen of them (runs in the worker).

Wraps apt_pkg's cache, dependency cache and records for one request. The rule that goes beyond
apt's own: packages of another archive never replace those of the suite's own archive, unless the
manifest asks for them by name/suite or name=version. A vendor's source may add packages; it may
not take over bash by a higher version, unless the manifest gives the source a priority above 500
or pins packages to it. Priorities and pins are those of apt_preferences(5), given to apt's own
policy: a source's to its index files, a pin's to exactly the versions that it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import apt_pkg

from dolmen.archive.records import Records
from dolmen.archive.release import Release
from dolmen.model.package import LOCAL
from dolmen.model.pin import Pin, in_order
from dolmen.support.errors import SolveError

#: What apt gives to a source that says nothing else (apt_preferences(5)).
DEFAULT_PRIORITY = 500


class Universe:
    """What one solve works on; `architectures` begins with the native one."""

    def __init__(
        self,
        cache: Any,
        releases: Sequence[Release],
        sources: Sequence[Mapping[str, Any]],
        suite: str,
        architectures: Sequence[str],
        preferences: Sequence[Mapping[str, Any]] = (),
        local: Path | None = None,
    ) -> None:
        self.cache = cache
        self.records = Records(self.cache, releases, local)
        self.depcache: Any = apt_pkg.DepCache(self.cache)
        self.releases = releases
        self.architectures = tuple(architectures)
        self.suite = suite
        self._sources = sources
        own = _own(sources, suite)
        self._own_releases = {
            number
            for number, release in enumerate(releases)
            if any(release.suite in s["suites"] and release.belongs_to(s) for s in own)
        } | {LOCAL}
        #: Whether `reset` has something to forget; whoever marks packages sets it.
        self.changed = False
        #: Versions of other archives that the manifest names, by id.
        self._welcome: set[int] = set()
        pins = in_order(Pin(**values) for values in preferences)
        if pins or any(source.get("priority") is not None for source in sources):
            self._prefer(pins)
        self._held = self._foreign()
        self._hold()

    def reset(self) -> None:
        """Forget all marks and choices; then hold the suite's own packages again."""
        if self.changed:
            # a tenth of a second, so not for a new one
            self.depcache.init()
            self._hold()
            self.changed = False

    def choose(self, package: Any, version: Any, suite: str | None = None) -> None:
        """Make a version the candidate; with a suite also what it needs from there, as apt does."""
        self.changed = True
        self.depcache.set_candidate_ver(package, version)
        if suite is not None:
            for number in self._named(suite):
                suite = self.releases[number].archive or self.releases[number].codename or suite
            self.depcache.set_candidate_release(package, version, suite)

    def candidate(self, package: Any) -> Any:
        """The version that would be installed, or None."""
        return self.depcache.get_candidate_ver(package)

    def package(self, name: str, architecture: str | None = None) -> Any:
        """A package that has versions, or None.

        Without an architecture the native one comes first, then the others in their order, as
        apt does.
        """
        for known in (architecture,) if architecture else self.architectures:
            key = (name, self.architectures[0] if known == "all" else known)
            if key in self.cache and self.cache[key].has_versions:
                return self.cache[key]
        return None

    def virtual(self, name: str, architecture: str | None = None) -> list[Any]:
        """The packages whose candidate provides a name, sorted by theirs."""
        key = (name, architecture or self.architectures[0])
        if key not in self.cache:
            return []
        found = {}
        for _name, _version, provider in self.cache[key].provides_list:
            parent = provider.parent_pkg
            if self.candidate(parent) == provider:
                found[parent.get_fullname(True)] = parent
        return [found[name] for name in sorted(found)]

    def essential(self) -> list[Any]:
        """The packages of the native architecture that are essential, sorted by name.

        apt flags a package when any of its versions is; what counts here is the candidate.
        """
        found = []
        for package in self.cache.packages:
            if package.essential and package.architecture == self.architectures[0]:
                version = self.candidate(package)
                if version is not None and (
                    self.records.section(version).get("Essential", "").lower() == "yes"
                ):
                    found.append(package)
        return sorted(found, key=lambda package: str(package.name))

    def suites(self, version: Any) -> list[str]:
        """The suites a version is in, in the order of the sources."""
        numbers = {self.records.release(f) for f, _ in version.file_list if not f.not_source}
        names = (self.releases[n].suite if n != LOCAL else "local" for n in sorted(numbers))
        return list(dict.fromkeys(names))

    def answers_to(self, suite: str) -> set[int]:
        """The Release files that a name means: a source's, a suite as configured, by codename,
        by suite.
        """
        return self._named(suite) or {
            number
            for number, release in enumerate(self.releases)
            if suite in (release.suite, release.codename, release.archive)
        }

    def _named(self, name: str) -> set[int]:
        """The Release files of the source that the manifest calls so."""
        return {
            number
            for number, release in enumerate(self.releases)
            for source in self._sources
            if source.get("name") == name
            and release.suite in source["suites"]
            and release.belongs_to(source)
        }

    def whereabouts(self, package: Any) -> str:
        """All versions and their suites: "1.2 (bookworm), 2.0 (bookworm-backports)"."""
        shown = [f"{v.ver_str} ({', '.join(self.suites(v))})" for v in package.version_list]
        if len(shown) > 6:
            shown = [*shown[:6], f"and {len(shown) - 6} more"]
        return ", ".join(shown)

    def _prefer(self, pins: Sequence[Pin]) -> None:
        """Give sources and versions the priorities of the manifest.

        A source's counts for its packages as a whole, so also what it offers beyond the suite's
        own. Of several pins the first one that means a package counts: names before patterns.
        Raises SolveError ("unknown-suite", "pin-unmet").
        """
        policy = self.depcache.policy
        for file in self.cache.file_list:
            source = None if file.not_source else self._source_of(file)
            if source is not None and source.get("priority") is not None:
                policy.set_priority(file, source["priority"])
        wanted = {pin: self._pinned(pin) for pin in pins if pin.suite is not None}
        for package in self._about(pins):
            for pin in pins:
                if pin.package != package.name and not pin.means(package.name):
                    continue
                met = [v for v in package.version_list if self._is_meant(pin, v, wanted)]
                if not met and pin.priority > 0 and not pin.is_pattern:
                    raise self._unmet(pin, package)
                for version in met:
                    name = f"{package.name}:{package.architecture}"
                    policy.create_pin("version", name, version.ver_str, pin.priority)
                    if pin.priority > 0 and (pin.suite or pin.version):
                        self._welcome.add(version.id)
                break
        self.depcache.init()

    def _about(self, pins: Sequence[Pin]) -> list[Any]:
        if any(pin.is_pattern for pin in pins):
            return [package for package in self.cache.packages if package.has_versions]
        keys = [(pin.package, name) for pin in pins for name in self.architectures]
        return [
            self.cache[key] for key in keys if key in self.cache and self.cache[key].has_versions
        ]

    def _pinned(self, pin: Pin) -> set[int]:
        assert pin.suite is not None
        numbers = self.answers_to(pin.suite)
        if not numbers:
            suites = ", ".join(dict.fromkeys(release.suite for release in self.releases))
            raise SolveError(
                f"the pin of {pin.package} names {pin.suite}, but the sources have only {suites}",
                reason="unknown-suite",
                context=f"{pin.package} = {str(pin)!r}",
                hint=f'add a source to dolmen.toml: [[sources]] with suites = ["{pin.suite}"]',
            )
        return numbers

    def _is_meant(self, pin: Pin, version: Any, wanted: Mapping[Pin, set[int]]) -> bool:
        if pin.version is not None:
            return fnmatchcase(version.ver_str, pin.version)
        if pin.suite is not None:
            files = (file for file, _ in version.file_list if not file.not_source)
            return any(self.records.release(file) in wanted[pin] for file in files)
        return True

    def _unmet(self, pin: Pin, package: Any) -> SolveError:
        return SolveError(
            f"no version of {package.name} meets its pin {str(pin)!r}; there is "
            f"{self.whereabouts(package)}",
            reason="pin-unmet",
            context=f"[pins] {pin.package} = {str(pin)!r}",
            hint=f"change the pin of {pin.package} in dolmen.toml, then: dolmen install",
        )

    def _hold(self) -> None:
        for package, version in self._held:
            self.depcache.set_candidate_ver(package, version)

    def _foreign(self) -> list[tuple[Any, Any]]:
        """Packages whose candidate is another archive's although the suite has its own version."""
        if len(self._own_releases) > len(self.releases):
            return []
        found = []
        for package in self.cache.packages:
            version = self._own_version(package)
            if version is not None:
                found.append((package, version))
        return found

    def _own_version(self, package: Any) -> Any:
        chosen = self.candidate(package)
        if chosen is None or chosen.id in self._welcome or self._is_own(chosen):
            return None
        if any(not f.not_source and self._has_priority(f) for f, _ in chosen.file_list):
            return None
        own = [version for version in package.version_list if self._is_own(version)]
        policy = self.depcache.policy
        best = max((policy.get_priority(version) for version in own), default=0)
        return next((v for v in own if policy.get_priority(v) == best), None)

    def _has_priority(self, file: Any) -> bool:
        """Whether the manifest lets a source's packages replace the suite's own."""
        source = self._source_of(file)
        return source is not None and (source.get("priority") or 0) > DEFAULT_PRIORITY

    def _source_of(self, file: Any) -> Mapping[str, Any] | None:
        number = self.records.release(file)
        if number == LOCAL:
            return None
        release = self.releases[number]
        found = (s for s in self._sources if release.suite in s["suites"] and release.belongs_to(s))
        return next(found, None)

    def _is_own(self, version: Any) -> bool:
        return any(
            not file.not_source and self.records.release(file) in self._own_releases
            for file, _ in version.file_list
        )


def _own(sources: Sequence[Mapping[str, Any]], suite: str) -> list[Mapping[str, Any]]:
    """The sources that make up the suite's own archive.

    The first one that serves the suite, and whatever is signed by the same keys and serves the
    suite or something beside it (its -updates, -security, -backports).
    """
    first = next((s for s in sources if suite in s["suites"]), sources[0])
    return [
        source
        for source in sources
        if source["key"] == first["key"]
        and (
            source is first
            or any(
                name == suite or name.startswith((f"{suite}-", f"{suite}/"))
                for name in source["suites"]
            )
        )
    ]
