"""High-water marks: the newest Release file seen of every suite, whatever directory saw it.

apt keeps a newer index when a mirror serves an older signed one, and says nothing; a fresh
directory even accepts the older one. Either way a mirror (or someone before it) could hold back
security updates. Marks belong to an archive's identity (origin, label, codename) together with
the keys that vouch for it, not to a URI, so a change of mirror does not forget them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolmen.archive.release import Release
from dolmen.support.errors import ArchiveError
from dolmen.support.files import write_atomic
from dolmen.support.locking import locked


class Marks:
    """One small file a mark, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def check(self, release: Release, source: Mapping[str, Any]) -> None:
        """Refuse a Release file older than one seen before ("mirror-went-backwards")."""
        try:
            mark = json.loads(self._path(release, source).read_bytes())
            newest = str(mark["date"])
        except (OSError, ValueError, KeyError):
            return
        if release.date < newest:
            raise went_backwards(release, release.date, newest)

    def record(self, release: Release, source: Mapping[str, Any]) -> None:
        """Remember a Release file that was verified."""
        path = self._path(release, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._directory / "lock", what="the high-water marks"):
            try:
                self.check(release, source)
            except ArchiveError:
                return
            mark = {
                "date": release.date,
                "sha256": release.sha256,
                "uri": release.uri,
                "suite": release.suite,
                "origin": release.origin,
                "codename": release.codename,
            }
            text = json.dumps(mark, indent=1) + "\n"
            if not path.exists() or path.read_text() != text:
                write_atomic(path, text)

    def _path(self, release: Release, source: Mapping[str, Any]) -> Path:
        identity = (
            release.origin,
            release.label,
            release.codename or release.suite,
            str(source["key"]),
        )
        digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()
        return self._directory / f"{digest[:24]}.json"


def went_backwards(release: Release, date: str, newest: str) -> ArchiveError:
    """The error for an archive that serves something older than what was seen before."""
    return ArchiveError(
        f"{release.uri} serves suite {release.suite} as of {date or 'no date at all'}, but "
        f"{newest} was seen before: a stale mirror, or someone holding updates back",
        reason="mirror-went-backwards",
        context=release.suite_uri,
        hint="try again later or name another mirror; to go back on purpose, pin the source: "
        f'snapshot = "{newest}"',
    )
