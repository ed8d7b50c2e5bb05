"""apt's solver over an empty system (runs in the worker).

Does what `apt-get install` does with the essential packages and the requests on its command
line, in the same order of steps, so that the result is what apt would install.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import apt_pkg

from dolmen.archive.explain import Explainer, negative_targets, positive_clauses
from dolmen.archive.index import Index
from dolmen.archive.local import local_requests, write_index
from dolmen.archive.requests import Request, look_up
from dolmen.archive.universe import Universe
from dolmen.support.clock import monotonic
from dolmen.support.errors import ArchiveError
from dolmen.support.events import Emit, Notice, Phase, PhaseFinished, PhaseStarted

_ROUNDS = 12


class Solver:
    """One request against one index."""

    def __init__(self, index: Index, request: Mapping[str, Any], emit: Emit) -> None:
        self._index = index
        self._request = request
        self._emit = emit
        # opening a fresh index makes apt's cache of it: that takes a second or two
        self._started = monotonic()
        emit(PhaseStarted(Phase.SOLVE))
        debs = request.get("local", ())
        local = write_index(Path(request["root"]), debs) if debs else None
        self._universe = Universe(
            index.cache(local),
            index.releases,
            index.sources,
            request["suite"],
            request["architectures"],
            request.get("preferences", ()),
            local,
        )

    def result(self) -> dict[str, Any]:
        """Solve; the values of a lock. Raises SolveError (see archive.solve)."""
        universe = self._universe
        essential = universe.essential()
        if not essential:
            suites = ", ".join(release.suite for release in universe.releases)
            raise ArchiveError(
                f"the sources hold no essential package for {universe.architectures[0]}, so "
                "nothing can be built from them",
                reason="no-essential",
                context=f"suites: {suites}",
                hint="add a source with a whole Debian suite to dolmen.toml, or check architecture",
            )
        requests = look_up(universe, self._request["specs"])
        requests += local_requests(universe, self._request.get("local", ()))
        if not self._solve_keeping_pins(essential, requests):
            raise Explainer(universe, self._attempt, self._choose).error(essential, requests)
        groups = self._groups(essential, requests)
        packages = [
            values | {"groups": groups.get((values["name"], values["architecture"]), ())}
            for values in self._packages(essential, requests)
        ]
        self._emit(PhaseFinished(Phase.SOLVE, len(packages), monotonic() - self._started))
        return {
            "solver": f"apt {cast(Any, apt_pkg).VERSION}",
            "packages": packages,
            "releases": [
                {
                    "uri": release.uri,
                    "suite": release.suite,
                    "sha256": release.sha256,
                    "date": release.date,
                    "codename": release.codename,
                    "origin": release.origin,
                }
                for release in self._index.releases
            ],
        }

    def _packages(self, essential: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
        essential_ids = {package.id for package in essential}
        asking: dict[int, set[str]] = {}
        for request in requests:
            asking.setdefault(request.package.id, set()).update(request.groups)
        return [
            self._universe.records.values(
                self._universe.candidate(package),
                requested=package.id in asking,
                essential=package.id in essential_ids,
            )
            | {"asking": _alone(asking.get(package.id, set()))}
            for package in self._universe.cache.packages
            if self._universe.depcache.marked_install(package)
        ]

    def _groups(
        self, essential: Sequence[Any], requests: Sequence[Request]
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        """The groups that alone need a package, by its name and architecture."""
        names = sorted({name for request in requests for name in request.groups if name})
        if not names:
            return {}
        everybody = self._closure([*essential, *(r.package for r in requests if "" in r.groups)])
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for name in names:
            for key in self._closure([r.package for r in requests if name in r.groups]):
                if key not in everybody:
                    found[key] = (*found.get(key, ()), name)
        return found

    def _closure(self, packages: Sequence[Any]) -> set[tuple[str, str]]:
        """What some of the chosen packages need, as far as it was chosen."""
        depcache, candidate = self._universe.depcache, self._universe.candidate
        kinds = ("Recommends",) if self._request["recommends"] else ()
        waiting, seen = list(packages), {package.id for package in packages}
        found: set[tuple[str, str]] = set()
        while waiting:
            version = candidate(waiting.pop())
            found.add((str(version.parent_pkg.name), str(version.arch)))
            clauses = list(positive_clauses(version))
            clauses += [clause for kind in kinds for clause in version.depends_list.get(kind, ())]
            for clause in clauses:
                for target in (t for dependency in clause for t in dependency.all_targets()):
                    parent = target.parent_pkg
                    if candidate(parent) == target and depcache.marked_install(parent):
                        if parent.id not in seen:
                            seen.add(parent.id)
                            waiting.append(parent)
                        break
        return found

    def _choose(self, requests: Sequence[Request], pins: Iterable[tuple[Any, Any]] = ()) -> None:
        """Start anew, with the versions that pins and requests name as candidates."""
        universe = self._universe
        universe.reset()
        for package, version in pins:
            universe.choose(package, version)
        for request in requests:
            if request.version is not None:
                universe.choose(request.package, request.version, request.spec.suite)

    def _attempt(
        self,
        essential: Sequence[Any],
        requests: Sequence[Request],
        pins: Iterable[tuple[Any, Any]] = (),
    ) -> bool:
        """One run of apt's solver; its marks stay. The steps are those of apt-get's install."""
        self._choose(requests, pins)
        self._universe.changed = True
        depcache = self._universe.depcache
        wanted = {package.id: package for package in essential}
        wanted |= {request.package.id: request.package for request in requests}
        resolver = apt_pkg.ProblemResolver(depcache)
        # a group, or apt looks for garbage among all packages after every single mark
        group: Any = apt_pkg.ActionGroup(depcache)
        with group:
            for package in wanted.values():
                resolver.clear(package)
                resolver.protect(package)
                depcache.mark_install(package, False)
            for package in wanted.values():
                depcache.mark_install(package, True)
            try:
                resolver.resolve(True)
            except apt_pkg.Error:
                return False
        return not depcache.broken_count and all(
            depcache.marked_install(package) for package in wanted.values()
        )

    def _solve_keeping_pins(self, essential: Sequence[Any], requests: Sequence[Request]) -> bool:
        """Solve with earlier versions kept; let go only of those that stand in the way."""
        pins = self._pins(requests)
        everything = len(pins)
        for _round in range(_ROUNDS):
            if self._attempt(essential, requests, pins.values()):
                self._tell(everything - len(pins))
                return True
            if not pins:
                return False
            # a failed attempt discards candidates
            self._choose(requests, pins.values())
            for key in self._obstacles(essential, requests, pins):
                del pins[key]
        done = self._attempt(essential, requests)
        self._tell(everything)
        return done

    def _tell(self, count: int) -> None:
        if count:
            self._emit(Notice(f"{count} locked version{'s' if count > 1 else ''} had to move"))

    def _pins(self, requests: Sequence[Request]) -> dict[int, tuple[Any, Any]]:
        """The versions to keep: those that still exist and were not asked for otherwise."""
        asked = {request.package.id for request in requests if request.version is not None}
        pins: dict[int, tuple[Any, Any]] = {}
        for name, architecture, wanted in self._request["pins"]:
            package = self._universe.package(name, architecture)
            if package is None or package.id in asked:
                continue
            version = next((v for v in package.version_list if v.ver_str == wanted), None)
            if version is not None and version != self._universe.candidate(package):
                pins[package.id] = (package, version)
        return pins

    def _obstacles(
        self,
        essential: Sequence[Any],
        requests: Sequence[Request],
        pins: Mapping[int, tuple[Any, Any]],
    ) -> set[int]:
        """Pinned packages behind relations that do not hold; all of them where none is found.

        Walks what the requests need, with the candidates as `_choose` has made them.
        """
        candidate = self._universe.candidate
        waiting = [*essential, *(request.package for request in requests)]
        seen = {package.id for package in waiting}
        found: set[int] = set()
        while waiting:
            package = waiting.pop()
            version = candidate(package)
            if version is None:
                continue
            for clause in positive_clauses(version):
                targets = [t for dependency in clause for t in dependency.all_targets()]
                chosen = [t.parent_pkg for t in targets if candidate(t.parent_pkg) == t]
                if not chosen:
                    ids = {t.parent_pkg.id for t in targets}
                    found |= {i for i in (*ids, package.id) if i in pins}
                for parent in chosen[:1]:
                    if parent.id not in seen:
                        seen.add(parent.id)
                        waiting.append(parent)
            for _dependency, target in negative_targets(version):
                if target.parent_pkg.id in seen and candidate(target.parent_pkg) == target:
                    found |= {i for i in (target.parent_pkg.id, package.id) if i in pins}
        return found or set(pins)


def _alone(groups: set[str]) -> list[str]:
    """The groups that ask, where it is not everybody."""
    return [] if "" in groups else sorted(groups)
