"""The order in which packages are configured, and which of them form the base.

One explicit total order decides user numbers, alternatives and debconf's answers, so it is a
function of the lock alone: dependencies first, ties by name. `dpkg --configure -a` would follow
dpkg's hash table, where one more package reorders the others (Debian bug #963788).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dolmen.model import Lock, LockedPackage
from dolmen.model.relation import parse_relations

Key = tuple[str, str]


def dependencies(lock: Lock) -> dict[Key, tuple[Key, ...]]:
    """Who in the lock depends (Depends, Pre-Depends) on whom; alternatives count where present.

    Of one clause's alternatives the first that the lock holds as a real package is taken; where
    there is none, every package that provides one.
    """
    by_name = _by_name(lock)
    providers = _providers(lock.packages)
    graph: dict[Key, tuple[Key, ...]] = {}
    for package in lock.packages:
        found: set[Key] = set()
        for field in ("Pre-Depends", "Depends"):
            for clause in parse_relations(package.get(field)):
                real = next((a for a in clause if a.name in by_name), None)
                if real is not None:
                    found.add(_pick(by_name[real.name], package, lock))
                    continue
                for alternative in clause:
                    found.update(providers.get(alternative.name, ()))
        found.discard(package.key)
        graph[package.key] = tuple(sorted(found))
    return graph


def base_packages(lock: Lock) -> tuple[LockedPackage, ...]:
    """The Essential packages and what they depend on, in configuration order.

    The order is that of a lock of these alone: whatever else a lock holds, the base is the same,
    and is built once for all.
    """
    graph = dependencies(lock)
    pending = [p.key for p in lock.packages if p.essential]
    seen: set[Key] = set()
    while pending:
        key = pending.pop()
        if key not in seen:
            seen.add(key)
            pending.extend(graph[key])
    base = replace(lock, packages=tuple(p for p in lock.packages if p.key in seen))
    return configuration_order(base, {key: graph[key] for key in seen})


def configuration_order(
    lock: Lock, graph: Mapping[Key, Sequence[Key]] | None = None
) -> tuple[LockedPackage, ...]:
    """All packages, each after what it depends on; circles are entered at the lowest name."""
    if graph is None:
        graph = dependencies(lock)
    packages = {p.key: p for p in lock.packages}
    order: list[LockedPackage] = []
    done: set[Key] = set()
    for root in sorted(packages):
        if root in done:
            continue
        done.add(root)
        stack: list[tuple[Key, Iterable[Key]]] = [(root, iter(graph[root]))]
        while stack:
            key, rest = stack[-1]
            for dependency in rest:
                if dependency not in done:
                    done.add(dependency)
                    stack.append((dependency, iter(graph[dependency])))
                    break
            else:
                stack.pop()
                order.append(packages[key])
    return tuple(order)


def _by_name(lock: Lock) -> dict[str, list[LockedPackage]]:
    found: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        found.setdefault(package.name, []).append(package)
    return found


def _pick(candidates: Sequence[LockedPackage], wanting: LockedPackage, lock: Lock) -> Key:
    """Of several architectures of one package: the dependant's own, `all`, the native one."""
    preference = (wanting.architecture, "all", lock.architecture)
    return min(
        candidates,
        key=lambda p: (
            preference.index(p.architecture) if p.architecture in preference else len(preference),
            p.key,
        ),
    ).key


def _providers(packages: Iterable[LockedPackage]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for package in packages:
        for clause in parse_relations(package.get("Provides")):
            for relation in clause:
                found.setdefault(relation.name, []).append(package.key)
    return found
