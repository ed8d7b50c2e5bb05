"""Why a set of packages cannot be had, in prose (runs in the worker).

apt says "held broken packages". Here the smallest set of requests that fails is looked for, then
the first relation that cannot hold, and the chain that leads to it from a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dolmen.archive.requests import Request
from dolmen.archive.universe import Universe
from dolmen.support.clock import monotonic
from dolmen.support.errors import SolveError

#: Seconds that may go into looking for the smallest failing set.
_PATIENCE = 5.0

Attempt = Callable[[Sequence[Any], Sequence[Request]], bool]
Chain = list[str]


def positive_clauses(version: Any) -> Iterator[Any]:
    """What must be there: each clause is a list of alternatives."""
    relations = version.depends_list
    for kind in ("PreDepends", "Depends"):
        yield from relations.get(kind, ())


def negative_targets(version: Any) -> Iterator[tuple[Any, Any]]:
    """What must not be there: (relation, version that it hits), never the package itself."""
    relations = version.depends_list
    for kind in ("Conflicts", "Breaks"):
        for clause in relations.get(kind, ()):
            for dependency in clause:
                for target in dependency.all_targets():
                    if target.parent_pkg.id != version.parent_pkg.id:
                        yield dependency, target


class Explainer:
    """Explains one failure.

    `attempt` runs the solver on a part of the requests, `choose` only sets their candidates.
    """

    def __init__(
        self,
        universe: Universe,
        attempt: Attempt,
        choose: Callable[[Sequence[Request]], None],
    ) -> None:
        self._universe = universe
        self._attempt = attempt
        self._choose = choose

    def error(self, essential: Sequence[Any], requests: Sequence[Request]) -> SolveError:
        """The error for requests that cannot be had together."""
        core = self._core(essential, requests)
        self._choose(core)
        for request in core:
            fault = self._missing(request.package, [], set())
            if fault is not None:
                return fault.error(request, self._universe)
        clash = self._clash(essential, core)
        if clash is not None:
            return clash
        names = _names(core)
        return SolveError(
            f"apt finds no way to have {names}",
            reason="unsatisfiable",
            hint=_leave_out(core),
        )

    def _core(self, essential: Sequence[Any], requests: Sequence[Request]) -> list[Request]:
        """A smallest set of requests that fails: leave out what is not needed for it."""
        deadline = monotonic() + _PATIENCE
        for request in requests:
            if monotonic() > deadline:
                break
            if not self._attempt(essential, [request]):
                return [request]
        core = list(requests)
        for request in requests:
            if monotonic() > deadline or len(core) <= 2:
                break
            fewer = [other for other in core if other is not request]
            if not self._attempt(essential, fewer):
                core = fewer
        return core

    def _missing(
        self, package: Any, path: list[tuple[Any, Any]], seen: set[int]
    ) -> _Missing | None:
        """The first clause below a package that no candidate can satisfy."""
        version = self._universe.candidate(package)
        if version is None or package.id in seen:
            return None
        seen.add(package.id)
        for clause in positive_clauses(version):
            faults = []
            for dependency in clause:
                for target in dependency.all_targets():
                    parent = target.parent_pkg
                    if self._universe.candidate(parent) != target:
                        continue
                    fault = self._missing(parent, [*path, (version, clause)], seen)
                    if fault is None:
                        break
                    faults.append(fault)
                else:
                    continue
                break
            else:
                return faults[0] if faults else _Missing([*path, (version, clause)])
        return None

    def _clash(self, essential: Sequence[Any], core: Sequence[Request]) -> SolveError | None:
        """Two packages of the closure, one of which must not be there with the other.

        Only the requests that lead to these two are named: the set may hold others, where there was
        no time to find a smaller one.
        """
        needed_by: dict[int, tuple[Any, Any] | None] = {}
        order: list[Any] = []
        asked = {request.package.id: request for request in core}
        waiting = [request.package for request in core] + list(essential)
        for package in waiting:
            needed_by.setdefault(package.id, None)
        while waiting:
            package = waiting.pop(0)
            version = self._universe.candidate(package)
            if version is None:
                continue
            order.append(version)
            for clause in positive_clauses(version):
                parent = self._choice(clause, needed_by)
                if parent is not None and parent.id not in needed_by:
                    needed_by[parent.id] = (version, clause)
                    waiting.append(parent)
        chosen = {version.id for version in order}
        for version in order:
            for dependency, target in negative_targets(version):
                if target.id in chosen:
                    word = "conflicts with" if "onflict" in _kind(dependency) else "breaks"
                    message = f"{_named(version)} {word} {_relation(dependency)}"
                    if target.parent_pkg.name != dependency.target_pkg.name:
                        message += f", which {_named(target)} provides"
                    chains, guilty = [], []
                    for end in (version, target):
                        lines, root = self._chain(end, needed_by, asked)
                        chains += lines
                        if root is not None and root not in guilty:
                            guilty.append(root)
                    together = " together" if len(guilty) > 1 else ""
                    return SolveError(
                        f"{_names(guilty)} cannot be had{together}: {message}",
                        reason="unsatisfiable",
                        details=list(dict.fromkeys(chains)),
                        hint=_leave_out(guilty),
                    )
        return None

    def _choice(self, clause: Any, known: dict[int, Any]) -> Any:
        """The alternative that would be taken: one that is there already, else the first."""
        options = [
            target.parent_pkg
            for dependency in clause
            for target in dependency.all_targets()
            if self._universe.candidate(target.parent_pkg) == target
        ]
        return next((p for p in options if p.id in known), options[0] if options else None)

    @staticmethod
    def _chain(
        version: Any, needed_by: dict[int, tuple[Any, Any] | None], asked: dict[int, Request]
    ) -> tuple[Chain, Request | None]:
        """From a request (None: an essential package) down to a package, a line each."""
        lines: Chain = []
        current = version
        while True:
            package = current.parent_pkg
            link = needed_by.get(package.id)
            if link is None:
                why = "was requested" if package.id in asked else "is essential"
                lines.append(f"{_named(current)} {why}")
                return lines[::-1], asked.get(package.id)
            current, clause = link
            lines.append(f"{_named(current)} depends on {_clause(clause)}")


class _Missing:
    """A clause that nothing satisfies, at the end of a path of (version, clause)."""

    def __init__(self, path: list[tuple[Any, Any]]) -> None:
        self._path = path

    def error(self, request: Request, universe: Universe) -> SolveError:
        """The chain in prose."""
        version, clause = self._path[-1]
        wanted = _clause(clause)
        details = [f"{_named(v)} depends on {_clause(c)}" for v, c in self._path]
        there, hint = "", f"leave it out: dolmen remove {request.spec.name}"
        for dependency in clause:
            package = dependency.target_pkg
            if package.has_versions:
                there = f"there is only {package.name} {universe.whereabouts(package)}"
                fits = [v for v in dependency.all_targets() if v.parent_pkg.id == package.id]
                asked = request.version is not None or len(self._path) == 1
                if fits:
                    suite = universe.suites(fits[0])[0]
                    hint = f"ask for it by name: dolmen install {package.name}/{suite}"
                    chosen = universe.candidate(package)
                    there = (
                        f"{package.name} {chosen.ver_str if chosen else ''} was chosen; there is "
                        f"{universe.whereabouts(package)}"
                    )
                elif asked and request.version is not None:
                    hint = f"leave the version open: dolmen install {request.spec.name}"
                break
        else:
            there = f"no source has {'any of these' if len(clause) > 1 else 'it'}"
        return SolveError(
            f"{request.spec} cannot be had: {_named(version)} depends on {wanted}, but {there}",
            reason="unsatisfiable",
            details=details if len(details) > 1 else (),
            hint=hint,
        )


def _names(requests: Sequence[Request]) -> str:
    return " and ".join(str(request.spec) for request in requests) or "the essential packages"


def _leave_out(requests: Sequence[Request]) -> str:
    if not requests:
        return "check the sources in dolmen.toml"
    names = [request.spec.name for request in requests]
    return f"leave out {' or '.join(names)}; what is in dolmen.toml already: dolmen remove NAME"


def _kind(dependency: Any) -> str:
    return str(dependency.dep_type_untranslated)


def _named(version: Any) -> str:
    return f"{version.parent_pkg.get_fullname(True)} {version.ver_str}"


def _relation(dependency: Any) -> str:
    name = str(dependency.target_pkg.name)
    if dependency.target_ver:
        return f"{name} ({dependency.comp_type_deb} {dependency.target_ver})"
    return name


def _clause(clause: Any) -> str:
    return " or ".join(dict.fromkeys(_relation(dependency) for dependency in clause))
