"""Why a package is not here: what stands in its way, or that nothing does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dolmen.environment.backend import Backend
from dolmen.environment.changes import Changes, compare
from dolmen.environment.inspect.graph import Graph
from dolmen.environment.inspect.view import View
from dolmen.model import Spec, parse_spec
from dolmen.support.errors import SolveError
from dolmen.support.events import Emit, ignore


@dataclass(frozen=True, slots=True)
class WhyNot:
    """`here`: it is there already, in the version asked for. `possible`: it could be had; then
    `changes` are what would come with it. Else `reason`, `message`, `details` and `hint` are the
    solver's. `wanted_by`: packages here that recommend or suggest it."""

    name: str
    here: str | None
    possible: bool
    changes: Changes | None
    wanted_by: tuple[tuple[str, str], ...]
    reason: str = ""
    message: str = ""
    details: tuple[str, ...] = ()
    hint: str = ""


def why_not(
    seen: View, name: str, *, backend: Backend, refresh: bool = False, emit: Emit = ignore
) -> WhyNot:
    """Try to add a package to the manifest; nothing is written.

    Raises DeclarationError ("bad-spec" and those of View.lock) and ArchiveError.
    """
    spec = parse_spec(name)
    lock = seen.lock()
    present = lock.find(spec.name, spec.architecture)
    if present is not None and spec.version in (None, present.version) and spec.suite is None:
        return WhyNot(spec.name, present.version, True, None, ())
    graph = Graph(lock)
    provider = graph.provider(spec.name)
    if present is None and provider is not None and spec.version is None and spec.suite is None:
        return WhyNot(provider.name, provider.version, True, None, ())
    others = tuple(
        s
        for s in seen.manifest.packages
        if (s.name, s.architecture) != (spec.name, spec.architecture)
    )
    wanted = replace(seen.manifest, packages=(*others, spec))
    by = _wanted_by(graph, spec)
    try:
        solved = backend.solve(
            wanted, pins=lock.packages, refresh=True if refresh else None, emit=emit
        )
    except SolveError as error:
        return WhyNot(
            spec.name,
            present.version if present else None,
            False,
            None,
            by,
            error.reason,
            error.message,
            error.details,
            error.hint or "",
        )
    here = present.version if present else None
    return WhyNot(spec.name, here, True, compare(lock, solved), by)


def _wanted_by(graph: Graph, spec: Spec) -> tuple[tuple[str, str], ...]:
    """Who would like to have it, and how much."""
    from dolmen.model.relation import parse_relations

    found = []
    for package in graph.packages.values():
        for field in ("Recommends", "Suggests"):
            try:
                clauses = parse_relations(package.get(field))
            except ValueError:
                continue
            if any(relation.name == spec.name for clause in clauses for relation in clause):
                found.append((package.name, field))
    return tuple(sorted(found))
