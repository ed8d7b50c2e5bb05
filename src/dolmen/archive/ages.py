"""Which moment of the archive a manifest means: stamps, ages ("14d"), exemptions.

An age is a cool-down: what was uploaded within it is not looked at yet. It is reckoned from the
beginning of the day (UTC), so that everybody who solves on one day sees one archive, and fetches
its indexes once. A stamp or an age for the whole manifest is about Debian's archives only, since
nobody keeps the past of others; an age leaves out the -security suites, whose news must not wait.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dolmen.archive.snapshot import format_stamp
from dolmen.model import Manifest, Source
from dolmen.model.manifest import AGE
from dolmen.support.clock import now

_DAYS = {"d": 1, "w": 7}
_SECURITY = re.compile(r".*(?:-security|/updates)")
_SNAPSHOT_URI = re.compile(r".*/archive/[^/]+/[0-9]{8}T[0-9]{6}Z/?")


def stamps(manifest: Manifest, moment: datetime | None = None) -> dict[str, str]:
    """What the ages that a manifest names come to: as a lock has it, else now (or then)."""
    moment = (moment or now()).astimezone(UTC)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[str, str] = {}
    for age in (manifest.snapshot, *(source.snapshot for source in manifest.sources)):
        if age is not None and AGE.fullmatch(age):
            found[age] = format_stamp(day - timedelta(days=int(age[:-1]) * _DAYS[age[-1]]))
    found |= {age: stamp for age, stamp in manifest.ages if age in found}
    return dict(sorted(found.items()))


def frozen_sources(manifest: Manifest, sources: Sequence[Source]) -> tuple[Source, ...]:
    """Sources as apt shall see them: every snapshot a stamp or None.

    A source with suites of both kinds becomes two.
    """
    ages = stamps(manifest)
    found: list[Source] = []
    for source in sources:
        own = source.snapshot
        if own is not None:
            found.append(replace(source, snapshot=None if own == "now" else ages.get(own, own)))
        elif manifest.snapshot is None or not _is_debian(source):
            found.append(source)
        elif manifest.snapshot not in ages:
            found.append(replace(source, snapshot=manifest.snapshot))
        else:
            found += _cooled(source, ages[manifest.snapshot])
    return tuple(found)


def _cooled(source: Source, stamp: str) -> list[Source]:
    urgent = tuple(suite for suite in source.suites if _SECURITY.fullmatch(suite))
    others = tuple(suite for suite in source.suites if suite not in urgent)
    parts = []
    if others:
        parts.append(replace(source, suites=others, snapshot=stamp))
    if urgent:
        parts.append(replace(source, suites=urgent))
    return parts


def _is_debian(source: Source) -> bool:
    """Whether the snapshot service may have the archive's past."""
    if any(_SNAPSHOT_URI.fullmatch(uri) for uri in source.uris):
        return True
    key = source.signed_by
    return key is None or ("-----BEGIN" not in key and Path(key).name.startswith("debian-archive"))
