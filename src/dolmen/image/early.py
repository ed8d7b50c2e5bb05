"""Packages that have to work before other packages' preinsts run (Pre-Depends, Policy 7.2).

Preinsts run before anything beyond the base is configured, which they rarely notice. One that calls
a program of a package it pre-depends on does: mariadb-server's adduser asks for a password, for
ever, where passwd's PAM files are not in place yet. Such packages are configured first, with what
they depend on; everybody else keeps their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from dolmen.image.closure import Key, dependencies
from dolmen.model import Lock, LockedPackage
from dolmen.model.relation import parse_relations
from dolmen.store import PackageTree

#: python3's preinst calls these on upgrades only, and half of all images would be reordered.
_LEFT_OUT = re.compile(r"python3(\.[0-9]+)?-minimal")
_PROGRAM = re.compile(r"(?:/usr)?/s?bin/(?P<name>[A-Za-z0-9._+-]+)")


def needed_first(
    lock: Lock,
    packages: Mapping[Key, LockedPackage],
    preinst: Collection[Key],
    tree: Callable[[LockedPackage], PackageTree],
    read: Callable[[str], bytes],
) -> frozenset[Key]:
    """Which of `packages` (those beyond the base) to configure before other preinsts.

    `preinst`: those that have one; `tree` and `read` give imported packages and objects.
    """
    pending: list[Key] = []
    for package in packages.values():
        if package.key in preinst:
            script = ""
            for other in _pre_dependencies(lock, package, packages):
                script = script or read(tree(package).members["preinst"]).decode("latin-1")
                if any(_calls(script, name) for name in _programs(tree(other))):
                    pending.append(other.key)
    if not pending:
        return frozenset()
    graph = dependencies(lock)
    found: set[Key] = set()
    while pending:
        key = pending.pop()
        if key not in found and key in packages:
            found.add(key)
            pending.extend(graph[key])
    return frozenset(found)


def _pre_dependencies(
    lock: Lock, package: LockedPackage, packages: Mapping[Key, LockedPackage]
) -> Iterator[LockedPackage]:
    for clause in parse_relations(package.get("Pre-Depends")):
        for relation in clause:
            other = lock.find(relation.name)
            if other is None or _LEFT_OUT.fullmatch(other.name):
                continue
            if other.key in packages:
                yield other


def _programs(tree: PackageTree) -> Iterator[str]:
    for entry in tree.paths:
        match = _PROGRAM.fullmatch(entry.path) if entry.kind != "d" else None
        if match is not None:
            yield match["name"]


def _calls(script: str, name: str) -> bool:
    """Whether a line that is no comment has the program as a word."""
    word = re.compile(
        rf"(?<![\w.+/-]){re.escape(name)}(?![\w.+-])|/s?bin/{re.escape(name)}(?![\w.+-])"
    )
    return any(word.search(line) for line in script.splitlines() if line.lstrip()[:1] != "#")
