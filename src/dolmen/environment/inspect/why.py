"""Why a package is here: chains of dependencies from what was asked for, with proof."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from dolmen.environment.inspect.graph import Edge, Graph
from dolmen.environment.inspect.proof import Proof, Prover
from dolmen.environment.inspect.view import View

_PROOFS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a chain: `package` needs `needs`, as `field` says; `proofs` are a few of many."""

    package: str
    needs: str
    field: str
    clause: str
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """From `start` to the package; `reason` is "requested" or "essential"."""

    start: str
    reason: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Why `name` is here.

    `requested`, `essential`: it is itself. `chains`: the shortest ones, or one for each start.
    `more`: how many starts reach it that are not shown. `direct`: who needs it, by name.
    `proved`: whether there was an image to look into.
    """

    name: str
    version: str
    architecture: str
    requested: bool
    essential: bool
    chains: tuple[Chain, ...]
    more: int
    direct: tuple[str, ...]
    proved: bool


def why(seen: View, name: str, *, every: bool = False, proofs: bool = True) -> Why:
    """Explain one package; `every` shows a chain from each start that reaches it.

    Raises DeclarationError ("not-installed") and those of View.lock.
    """
    graph = Graph(seen.lock())
    package = graph.find(name)
    starts = [key for key in graph.roots() if key != package.key]
    found = graph.chains(package.key, starts)
    # an Essential package is there anyway: it explains what nothing asked for needs
    asked = {key: chain for key, chain in found.items() if graph.packages[key].requested}
    chosen = found if every else asked or found
    if not every and chosen:
        shortest = min(len(chain) for chain in chosen.values())
        chosen = {key: chain for key, chain in chosen.items() if len(chain) == shortest}
        chosen = dict(islice(chosen.items(), _PROOFS))
    tree = seen.tree() if proofs else None
    prover = Prover(tree) if tree is not None else None
    chains = tuple(
        Chain(
            start=_shown(graph, key),
            reason="requested" if graph.packages[key].requested else "essential",
            steps=tuple(_step(graph, edge, prover) for edge in chain),
        )
        for key, chain in sorted(chosen.items(), key=lambda item: (len(item[1]), item[0]))
    )
    return Why(
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        requested=package.requested,
        essential=package.essential,
        chains=chains,
        more=len(found) - len(chains),
        direct=tuple(sorted({_shown(graph, e.source) for e in graph.needed_by[package.key]})),
        proved=tree is not None,
    )


def essential(seen: View) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The Essential packages, each with what only the base needs because of it."""
    from dolmen.image import base_packages

    lock = seen.lock()
    graph = Graph(lock)
    base = {package.key for package in base_packages(lock)}
    return tuple(
        (
            package.name,
            tuple(
                sorted(
                    edge.target[0]
                    for edge in graph.needs[package.key]
                    if edge.target in base and not graph.packages[edge.target].essential
                )
            ),
        )
        for package in sorted(lock.packages, key=lambda p: p.key)
        if package.essential
    )


def _step(graph: Graph, edge: Edge, prover: Prover | None) -> Step:
    found: tuple[Proof, ...] = ()
    if prover is not None:
        source, target = graph.packages[edge.source], graph.packages[edge.target]
        found = tuple(islice(prover.proofs(source, target), _PROOFS))
    return Step(
        _shown(graph, edge.source), _shown(graph, edge.target), edge.field, edge.clause, found
    )


def _shown(graph: Graph, key: tuple[str, str]) -> str:
    name, architecture = key
    return name if architecture in ("all", graph.lock.architecture) else f"{name}:{architecture}"
