"""From libapt's versions to the stanzas of a lock (runs in the worker).

Index stanzas are hostile input: whatever does not look like Debian's is refused, and no control
character gets through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apt_pkg

from dolmen.archive.release import Release
from dolmen.model.lock import CARRIED_FIELDS
from dolmen.model.package import LOCAL
from dolmen.model.spec import PACKAGE_NAME
from dolmen.support.errors import ArchiveError

_VERSION = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z][A-Za-z0-9.+~-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_SOURCE = re.compile(rf"{PACKAGE_NAME.pattern}(?: \({_VERSION.pattern}\))?")
_MULTI_ARCH = ("same", "foreign", "allowed")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_MAX_FIELD = 256 * 1024


class Records:
    """Reads the index stanzas behind versions."""

    def __init__(self, cache: Any, releases: Sequence[Release], local: Path | None = None) -> None:
        self._records = apt_pkg.PackageRecords(cache)
        self._releases = releases
        self._of_file: dict[int, int] = {}
        self._local = str(local)

    def section(self, version: Any) -> Any:
        """The index stanza of a version; raises ArchiveError ("bad-index") where it is none."""
        self._records.lookup(self._file(version))
        try:
            return apt_pkg.TagSection(self._records.record)
        except (ValueError, SystemError):
            # a NUL byte, or not UTF-8
            raise ArchiveError(
                f"the index holds a stanza that is not text: {version.parent_pkg.name}",
                reason="bad-index",
                hint="name another mirror in dolmen.toml, and tell whoever signs this one",
            ) from None

    def release(self, package_file: Any) -> int:
        """Which Release file an index file belongs to; LOCAL for .debs beside the manifest."""
        number = self._of_file.get(package_file.id)
        if number is None and package_file.filename == self._local:
            number = self._of_file[package_file.id] = LOCAL
        if number is None:
            name = package_file.filename.rpartition("/")[2]
            found = [n for n, r in enumerate(self._releases) if name.startswith(r.stem)]
            if not found:
                raise ArchiveError(f"no Release file vouches for the index {name}")
            # the longest prefix: "…_dists_x_" and "…_dists_x_y_" both begin like "…_x_y_main"
            number = max(found, key=lambda n: len(self._releases[n].stem))
            self._of_file[package_file.id] = number
        return number

    def values(self, version: Any, *, requested: bool, essential: bool) -> dict[str, Any]:
        """The fields of a LockedPackage; raises ArchiveError ("bad-index", "weak-hashes")."""
        section = self.section(version)
        name = version.parent_pkg.name
        where = f"{name} {_clean(version.ver_str)[:80]}"
        filename = section.get("Filename", "").removeprefix("./")
        sha256 = section.get("SHA256", "").lower()
        size = section.get("Size", "")
        if not _SHA256.fullmatch(sha256):
            raise ArchiveError(
                f"the index lists {where} without a SHA-256",
                reason="weak-hashes",
                hint="name another mirror; weaker hashes are never used",
            )
        sane = (
            PACKAGE_NAME.fullmatch(name)
            and _VERSION.fullmatch(version.ver_str)
            and _ARCHITECTURE.fullmatch(version.arch)
            and is_pool_path(filename)
            and re.fullmatch(r"[1-9][0-9]{0,11}", size)
        )
        if not sane:
            raise ArchiveError(
                f"the index holds an entry that no Debian archive has: {where}",
                reason="bad-index",
                context=f"Filename: {_clean(filename)[:200]}; Size: {_clean(size)[:20]}",
                hint="name another mirror in dolmen.toml, and tell whoever signs this one",
            )
        installed = section.get("Installed-Size", "")
        source = section.get("Source", "")
        multi_arch = section.get("Multi-Arch", "")
        fields = [(field, _clean(section.get(field, ""))) for field in CARRIED_FIELDS]
        fields.append(("Description", _clean(section.get("Description", "").split("\n")[0])))
        return {
            "name": name,
            "version": version.ver_str,
            "architecture": version.arch,
            "sha256": sha256,
            "size": int(size),
            "filename": filename,
            "release": self.release(self._file(version)[0]),
            "requested": requested,
            "essential": essential,
            "multi_arch": multi_arch if multi_arch in _MULTI_ARCH else "no",
            "source": source if _SOURCE.fullmatch(source) else "",
            "installed_size": int(installed) if re.fullmatch(r"[0-9]{1,12}", installed) else 0,
            "fields": [(field, value) for field, value in fields if value],
        }

    @staticmethod
    def _file(version: Any) -> Any:
        for entry in version.file_list:
            if not entry[0].not_source:
                return entry
        raise ArchiveError(f"{version.parent_pkg.name} is in no index", reason="bad-index")


def is_pool_path(path: str) -> bool:
    """Whether a Filename stays below the archive's root, also after URI decoding."""
    return (
        0 < len(path) <= 1024
        and re.fullmatch(r"[A-Za-z0-9._+~:%/@=,-]+", path) is not None
        and not re.search(r"%2[ef]|%5c|%00", path, re.IGNORECASE)
        and not any(part in ("", ".", "..") for part in path.split("/"))
    )


def _clean(value: str) -> str:
    """One printable line."""
    return _CONTROL.sub(" ", value[:_MAX_FIELD].replace("\n", " ")).strip()
