"""Who needs whom in a lock, and by which relation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dolmen.model import Lock, LockedPackage
from dolmen.model.relation import Relation, parse_relations
from dolmen.support.errors import DeclarationError

Key = tuple[str, str]

_FIELDS = ("Pre-Depends", "Depends", "Recommends")


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` needs `target`: the field that says so and its clause, as written."""

    source: Key
    target: Key
    field: str
    clause: str


class Graph:
    """The relations among the packages of a lock.

    Recommends count after Depends: a package that is here for a recommendation only is explained
    by it, no other is.
    """

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.packages: dict[Key, LockedPackage] = {p.key: p for p in lock.packages}
        self._names: dict[str, list[Key]] = {}
        self._provided: dict[str, list[Key]] = {}
        for package in lock.packages:
            self._names.setdefault(package.name, []).append(package.key)
            for clause in _relations(package, "Provides"):
                for relation in clause:
                    self._provided.setdefault(relation.name, []).append(package.key)
        self.needs: dict[Key, tuple[Edge, ...]] = {
            package.key: tuple(self._edges(package)) for package in lock.packages
        }
        self.needed_by: dict[Key, list[Edge]] = {key: [] for key in self.packages}
        for edges in self.needs.values():
            for edge in edges:
                self.needed_by[edge.target].append(edge)

    def find(self, name: str) -> LockedPackage:
        """A package by name or name:architecture, or the one that provides the name.

        Raises DeclarationError ("not-installed").
        """
        bare, _, architecture = name.partition(":")
        package = self.lock.find(bare, architecture or None)
        if package is not None:
            return package
        provider = self.provider(bare)
        if provider is not None:
            return provider
        providers = sorted(set(self._provided.get(bare, ())))
        details = [f"{bare} is provided by {', '.join(key[0] for key in providers)}"]
        import difflib

        near = difflib.get_close_matches(bare, self._names, n=3, cutoff=0.75)
        raise DeclarationError(
            f"{name[:80]} is not in this environment",
            reason="not-installed",
            details=details if providers else [f"did you mean {', '.join(near)}?"] if near else (),
            hint=f"see what keeps it out: dolmen why-not {bare[:80]}",
        )

    def provider(self, virtual: str) -> LockedPackage | None:
        """The package here that provides a name, if it is the only one."""
        providers = set(self._provided.get(virtual, ()))
        return self.packages[providers.pop()] if len(providers) == 1 else None

    def roots(self) -> list[Key]:
        """What was asked for, then what is Essential, sorted."""
        requested = sorted(p.key for p in self.lock.packages if p.requested)
        return requested + sorted(
            p.key for p in self.lock.packages if p.essential and not p.requested
        )

    def chains(self, target: Key, starts: Iterable[Key]) -> dict[Key, tuple[Edge, ...]]:
        """For each start that reaches `target`, a shortest way there; Depends before Recommends."""
        # backwards from the target, so that one search serves all starts
        steps: dict[Key, Edge | None] = {target: None}
        for fields in (("Pre-Depends", "Depends"), _FIELDS):
            waiting = deque(steps)
            while waiting:
                key = waiting.popleft()
                for edge in sorted(self.needed_by[key], key=lambda e: e.source):
                    if edge.source not in steps and edge.field in fields:
                        steps[edge.source] = edge
                        waiting.append(edge.source)
        found = {}
        for start in starts:
            if start in steps:
                chain = []
                step = steps[start]
                while step is not None:
                    chain.append(step)
                    step = steps[step.target]
                found[start] = tuple(chain)
        return found

    def _edges(self, package: LockedPackage) -> Iterable[Edge]:
        seen: set[Key] = set()
        for field in _FIELDS:
            for clause in _relations(package, field):
                for target in self._targets(package, clause):
                    if target != package.key and target not in seen:
                        seen.add(target)
                        written = " | ".join(str(relation) for relation in clause)
                        yield Edge(package.key, target, field, written)

    def _targets(self, package: LockedPackage, clause: Sequence[Relation]) -> list[Key]:
        """The packages that answer a clause: real ones, else those that provide it."""
        real = [
            min(self._names[relation.name], key=lambda key: _distance(key, package, self.lock))
            for relation in clause
            if relation.name in self._names
        ]
        if real:
            return real
        return [key for relation in clause for key in self._provided.get(relation.name, ())]


def _relations(package: LockedPackage, field: str) -> tuple[tuple[Relation, ...], ...]:
    try:
        return parse_relations(package.get(field))
    except ValueError:
        return ()


def _distance(key: Key, package: LockedPackage, lock: Lock) -> tuple[int, Key]:
    preference = (package.architecture, "all", lock.architecture)
    return (preference.index(key[1]) if key[1] in preference else len(preference), key)


@dataclass(frozen=True, slots=True)
class Node:
    """A package in a tree. `relation` is the clause it answers there; `mark` is "circle" where it
    stands above itself, "above" where its own needs were shown already, else empty."""

    name: str
    architecture: str
    version: str
    relation: str
    mark: str
    children: tuple[Node, ...] = ()


def tree(
    graph: Graph,
    roots: Sequence[Key],
    *,
    invert: bool = False,
    depth: int | None = None,
) -> tuple[Node, ...]:
    """Dependency trees below these packages; inverted: who needs them, up to the requests."""
    shown: set[Key] = set()
    edges: Mapping[Key, Sequence[Edge]] = graph.needed_by if invert else graph.needs
    return tuple(_node(graph, key, "", edges, invert, depth, (), shown) for key in roots)


def _node(
    graph: Graph,
    key: Key,
    relation: str,
    edges: Mapping[Key, Sequence[Edge]],
    invert: bool,
    depth: int | None,
    path: tuple[Key, ...],
    shown: set[Key],
) -> Node:
    package = graph.packages[key]
    mark = "circle" if key in path else "above" if key in shown and edges[key] else ""
    children: tuple[Node, ...] = ()
    # deeper than this no real chain goes, and Python's own stack ends at a thousand
    if not mark and (depth is None or len(path) < depth) and len(path) < 200:
        shown.add(key)
        further = sorted(edges[key], key=lambda edge: edge.source if invert else edge.target)
        children = tuple(
            _node(
                graph,
                edge.source if invert else edge.target,
                edge.clause,
                edges,
                invert,
                depth,
                (*path, key),
                shown,
            )
            for edge in further
        )
    return Node(package.name, package.architecture, package.version, relation, mark, children)
