"""What a manifest asks for, looked up among the packages there are (runs in the worker)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dolmen.archive.universe import Universe
from dolmen.model import Spec
from dolmen.support.errors import SolveError

#: What other systems call it, or what its command is called; only where no spelling rule helps.
_MEANT: Mapping[str, str] = {
    "c++": "g++",
    "chrome": "chromium",
    "docker-ce": "docker.io",
    "java": "default-jdk",
    "javac": "default-jdk",
    "jdk": "default-jdk",
    "jre": "default-jre",
    "mysql": "default-mysql-server",
    "mysql-server": "default-mysql-server",
    "node": "nodejs",
    "pip": "python3-pip",
    "psql": "postgresql-client",
    "python": "python3",
    "rust": "rustc",
    "vi": "vim",
}
_SUGGESTIONS = 5
_LOOKED_AT = 4000


@dataclass(frozen=True, slots=True)
class Request:
    """A specification and the package it means; `version` where one was asked for."""

    spec: Spec
    package: Any
    version: Any = None
    groups: tuple[str, ...] = ("",)


def look_up(universe: Universe, values: Iterable[Mapping[str, Any]]) -> list[Request]:
    """Find the packages and versions asked for, all faults at once.

    Raises SolveError with the reason of the first fault: "unknown-package", "virtual-package",
    "unknown-architecture", "unknown-suite", "unknown-version".
    """
    found: list[Request] = []
    faults: list[SolveError] = []
    for value in values:
        try:
            groups = tuple(value.get("groups", ("",)))
            spec = Spec(**{key: item for key, item in value.items() if key != "groups"})
            found.append(replace(_look_up(universe, spec), groups=groups))
        except SolveError as error:
            faults.append(error)
    if not faults:
        return found
    first = faults[0]
    if len(faults) > 1:
        first.details = (*first.details, *(fault.message for fault in faults[1:]))
    raise first


def _look_up(universe: Universe, spec: Spec) -> Request:
    known = universe.architectures
    if spec.architecture not in (None, "all", *known):
        raise SolveError(
            f"{spec} asks for architecture {spec.architecture}, but this manifest has only "
            f"{' and '.join(known)}",
            reason="unknown-architecture",
            hint=f'in dolmen.toml: foreign-architectures = ["{spec.architecture}"]',
        )
    package = universe.package(spec.name, spec.architecture)
    if package is None:
        package = _provider(universe, spec)
    version = None
    if spec.version is not None:
        version = _of_version(universe, spec, package)
    elif spec.suite is not None:
        version = _of_suite(universe, spec, package)
    elif universe.candidate(package) is None:
        raise SolveError(
            f"{spec.name} has versions, but none that may be installed by itself: "
            f"{universe.whereabouts(package)}",
            reason="unknown-version",
            hint=f"name the one you want: dolmen install {spec.name}="
            f"{package.version_list[0].ver_str}",
        )
    return Request(spec, package, version)


def _provider(universe: Universe, spec: Spec) -> Any:
    providers = universe.virtual(spec.name, spec.architecture)
    names = [package.get_fullname(True) for package in providers]
    if len(providers) == 1 and spec.version is None and spec.suite is None:
        return providers[0]
    if providers:
        raise SolveError(
            f"{spec.name} is a virtual package, provided by {', '.join(names[:8])}"
            + (f" and {len(names) - 8} more" if len(names) > 8 else ""),
            reason="virtual-package",
            context=str(spec),
            hint=f"choose one: dolmen install {names[0]}",
        )
    close = suggestions(spec.name, [str(p.name) for p in universe.cache.packages if p.has_versions])
    suites = ", ".join(dict.fromkeys(release.suite for release in universe.releases))
    wanted = f"{spec.name}:{spec.architecture}" if spec.architecture else spec.name
    raise SolveError(
        f"there is no package {wanted} in {suites}",
        reason="unknown-package",
        context=str(spec),
        details=[f"did you mean {', '.join(close)}?"] if close else (),
        hint=f"dolmen install {close[0]}"
        if close
        else f"search by another name: dolmen search {spec.name}",
    )


def _of_version(universe: Universe, spec: Spec, package: Any) -> Any:
    for version in package.version_list:
        if version.ver_str == spec.version:
            return version
    return _no_version(universe, spec, package, f"there is no version {spec.version} of")


def _of_suite(universe: Universe, spec: Spec, package: Any) -> Any:
    assert spec.suite is not None
    meant = universe.answers_to(spec.suite)
    if not meant:
        suites = ", ".join(dict.fromkeys(release.suite for release in universe.releases))
        raise SolveError(
            f"{spec} asks for suite {spec.suite}, but the sources have only {suites}",
            reason="unknown-suite",
            context=str(spec),
            hint=f'add a source to dolmen.toml: [[sources]] with suites = ["{spec.suite}"]',
        )
    for version in package.version_list:
        files = [file for file, _ in version.file_list if not file.not_source]
        if any(universe.records.release(file) in meant for file in files):
            return version
    return _no_version(universe, spec, package, f"suite {spec.suite} has no")


def _no_version(universe: Universe, spec: Spec, package: Any, what: str) -> Any:
    newest = package.version_list[0].ver_str
    raise SolveError(
        f"{what} {spec.name}; there is {universe.whereabouts(package)}",
        reason="unknown-version",
        context=str(spec),
        hint=f"dolmen install {spec.name} (or {spec.name}={newest})",
    )


def suggestions(name: str, names: Sequence[str]) -> list[str]:
    """Packages that somebody who typed `name` may have meant, the likeliest first."""
    known = set(names)
    bare = name.replace("_", "-").replace(".", "-")
    guesses = [
        _MEANT.get(name, ""),
        bare,
        bare.removesuffix("-dev") + "-dev",
        f"python3-{bare.removeprefix('python-').removeprefix('py-')}",
        f"{bare}js",
        bare.removeprefix("lib"),
        f"lib{bare}",
        f"lib{bare}-dev",
        f"lib{bare.replace('::', '-').lower()}-perl",
        f"golang-{bare}",
        bare.rstrip("0123456789.-"),
    ]
    found = [guess for guess in guesses if guess in known and guess != name]
    # difflib is slow, 60 000 names would take seconds: only those that begin and end alike count
    near = [
        other
        for other in known
        if abs(len(other) - len(name)) <= 3 and (other[:1] == name[:1] or other[-2:] == name[-2:])
    ]
    near.sort(key=lambda other: (other[:2] != name[:2], abs(len(other) - len(name)), other))
    letters = sorted(name)
    found += [other for other in near if sorted(other) == letters]
    found += difflib.get_close_matches(name, near[:_LOOKED_AT], n=_SUGGESTIONS, cutoff=0.8)
    found += sorted((o for o in known if o.startswith(f"{name}-")), key=len)[:2]
    return list(dict.fromkeys(found))[:_SUGGESTIONS]
