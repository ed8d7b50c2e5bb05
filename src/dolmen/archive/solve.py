"""From a manifest to a lock, by apt's own solver in a worker process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dolmen.archive.ages import stamps
from dolmen.archive.asking import SLOW_SECONDS, ask, request, sources_seen
from dolmen.archive.elsewhere import tell
from dolmen.model import Lock, LockedPackage, Manifest, ReleaseFile
from dolmen.model.package import LocalDeb
from dolmen.support.errors import SolveError
from dolmen.support.events import Emit, ignore


def solve(
    manifest: Manifest,
    *,
    state: Path,
    refresh: bool | None = None,
    emit: Emit = ignore,
    pins: Sequence[LockedPackage] = (),
    releases: Sequence[ReleaseFile] = (),
    snapshots: str | None = None,
    slow: float = SLOW_SECONDS,
    local: Sequence[LocalDeb] = (),
) -> Lock:
    """Solve a manifest: the suite's essential packages and those requested, with what they need.

    `state` holds apt's files, one directory a set of sources. `refresh`: fetch the indexes anew
    (None: where they were never fetched or are older than a day; False: never). `pins`: versions
    to keep where possible. `releases`: Release files that a lock already vouches for, so that a
    pinned snapshot may hold them although they expired. `snapshots`: base URI of the snapshot
    service, else DOLMEN_SNAPSHOTS. `slow`: seconds after which a mirror that sends next to nothing
    is given up. `local`: .debs to have beside what the archive has, as if asked for by name.

    Raises SolveError ("unknown-package", "unknown-version", "unknown-suite", "virtual-package",
    "unsatisfiable", "pin-unmet") and ArchiveError (see archive.index for what an update may find).
    """
    chosen = sources_seen(manifest, state, snapshots=snapshots)
    question = request(
        "solve", chosen, manifest, refresh=refresh, snapshots=snapshots, slow=slow
    ) | {
        "specs": [
            {
                "name": spec.name,
                "architecture": spec.architecture,
                "version": spec.version,
                "suite": spec.suite,
                "groups": groups,
            }
            for spec, groups in manifest.requests(chosen.architectures[0]).items()
        ],
        "pins": [[pin.name, pin.architecture, pin.version] for pin in pins],
        "local": [asdict(deb) for deb in local],
        "locked": [release.sha256 for release in releases],
    }
    try:
        answer = ask(chosen, question, emit)
    except SolveError as error:
        raise tell(
            error, state, but=[suite for s in chosen.sources for suite in s.suites]
        ) from None
    return _lock(answer, manifest, chosen.architectures)


def _lock(result: Mapping[str, Any], manifest: Manifest, architectures: tuple[str, ...]) -> Lock:
    packages = []
    for values in result["packages"]:
        fields = tuple((name, value) for name, value in values.pop("fields"))
        groups, asking = tuple(values.pop("groups")), tuple(values.pop("asking"))
        packages.append(LockedPackage(**values, fields=fields, groups=groups, asking=asking))
    return Lock(
        suite=manifest.suite,
        architectures=architectures,
        inputs=manifest.inputs(),
        solver=result["solver"],
        releases=tuple(ReleaseFile(**values) for values in result["releases"]),
        packages=tuple(sorted(packages, key=lambda package: package.key)),
        snapshots=tuple(stamps(manifest).items()),
    )
