"""apt's solver over an empty system (runs in the worker).

Does what `apt-get install` does with the essential packages and the requests on its command
line, in the same order of steps, so that the result is what apt would install.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apt_pkg

from dolmen.archive.index import Index
from dolmen.archive.records import Records
from dolmen.support.clock import monotonic
from dolmen.support.errors import SolveError
from dolmen.support.events import Emit, Phase, PhaseFinished, PhaseStarted


class Solver:
    """One request against one index."""

    def __init__(self, index: Index, request: Mapping[str, Any], emit: Emit) -> None:
        self._index = index
        self._request = request
        self._emit = emit
        self._cache = apt_pkg.Cache(None)
        self._records = Records(self._cache, index.releases)
        self._depcache = apt_pkg.DepCache(self._cache)

    def result(self) -> dict[str, Any]:
        """Solve; the values of a lock."""
        started = monotonic()
        self._emit(PhaseStarted(Phase.SOLVE))
        essential = self._essential()
        requested = [self._cache[s["name"]] for s in self._request["specs"]]
        wanted = [*essential, *(p for p in requested if p not in essential)]
        resolver = apt_pkg.ProblemResolver(self._depcache)
        for package in wanted:
            resolver.clear(package)
            resolver.protect(package)
            self._depcache.mark_install(package, False)
        for package in wanted:
            if self._depcache.is_inst_broken(package):
                self._depcache.mark_install(package, True)
        resolver.resolve(True)
        if self._depcache.broken_count or not all(
            self._depcache.marked_install(package) for package in wanted
        ):
            raise SolveError("unsatisfiable")
        essential_ids = {package.id for package in essential}
        requested_ids = {package.id for package in requested}
        packages = [
            self._records.values(
                self._depcache.get_candidate_ver(package),
                requested=package.id in requested_ids,
                essential=package.id in essential_ids,
            )
            for package in self._cache.packages
            if self._depcache.marked_install(package)
        ]
        self._emit(PhaseFinished(Phase.SOLVE, len(packages), monotonic() - started))
        return {
            "solver": f"apt {apt_pkg.VERSION}",
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

    def _essential(self) -> list[Any]:
        found = []
        native = self._request["architectures"][0]
        for package in self._cache.packages:
            if not package.essential or package.architecture != native:
                continue
            candidate = self._depcache.get_candidate_ver(package)
            if candidate is None:
                continue
            if self._records.section(candidate).get("Essential") == "yes":
                found.append(package)
        return sorted(found, key=lambda package: package.name)
