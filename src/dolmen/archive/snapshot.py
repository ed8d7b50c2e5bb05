"""The snapshot service: an archive's state at a moment, by URI.

Its scheme is BASE/archive/NAME/STAMP/ with NAME the archive ("debian", "debian-security") and
STAMP as YYYYMMDDTHHMMSSZ. apt learned the `Snapshot` field only in 2.7, so the URI is written out.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from dolmen.model import Source
from dolmen.support import settings
from dolmen.support.errors import ArchiveError

#: Names the service's base URI, the part before "/archive/"; wins over the setting "snapshots".
VARIABLE = "DOLMEN_SNAPSHOTS"

_STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"(?P<base>.*)/archive/(?P<name>[^/]+)/(?P<stamp>[0-9]{8}T[0-9]{6}Z)/?")


def effective_uris(source: Source, service: str | None = None) -> tuple[str, ...]:
    """The URIs apt shall use: the source's own, or the service's for a pinned source.

    Raises ArchiveError (reason "no-snapshot-service") when a pin has no service to ask.
    """
    if source.snapshot is None:
        return source.uris
    return tuple(_pinned(uri, source.snapshot, service) for uri in source.uris)


def snapshot_uri(uri: str, stamp: str, service: str | None = None) -> str | None:
    """The URI of the archive behind `uri` at `stamp`; None when no service is known."""
    match = _STAMPED.fullmatch(uri)
    if match is not None:
        return f"{match['base']}/archive/{match['name']}/{stamp}/"
    base = service or os.environ.get(VARIABLE) or str(settings.get("snapshots") or "")
    name = uri.rstrip("/").rpartition("/")[2]
    if not base or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        return None
    return f"{base.rstrip('/')}/archive/{name}/{stamp}/"


def format_stamp(moment: datetime) -> str:
    """A moment as the service writes it."""
    return moment.astimezone(UTC).strftime(_STAMP_FORMAT)


def parse_stamp(stamp: str) -> datetime:
    """The moment of a stamp; raises ValueError."""
    return datetime.strptime(stamp, _STAMP_FORMAT).replace(tzinfo=UTC)


def _pinned(uri: str, stamp: str, service: str | None) -> str:
    found = snapshot_uri(uri, stamp, service)
    if found is None:
        raise ArchiveError(
            f"the source {uri} is pinned to {stamp}, but no snapshot service is known",
            reason="no-snapshot-service",
            hint="dolmen config set snapshots https://HOST (the part before /archive/)",
        )
    return found
