"""What an apt inside of an image is given: the sources as Dolmen sees them, and their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dolmen.archive.asking import sources_seen
from dolmen.archive.configuration import passed_environment
from dolmen.model import Manifest

_SIGNED_BY = re.compile(r"^Signed-By: (/.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class AptInside:
    """A deb822 .sources file, the keyrings that it names (by file name in `keys`), the indexes that
    were verified already (`lists`, a directory that may be missing), and the way to the net."""

    sources: str
    keyrings: Mapping[str, Path]
    lists: Path
    environment: Mapping[str, str]


def apt_inside(manifest: Manifest, state: Path, *, keys: str) -> AptInside:
    """The sources of a manifest, with keyrings to be found in the directory `keys` inside.

    `state` as for archive.solve. Passwords of netrc files are not handed on: maintainer scripts
    would see them. Raises what archive.solve raises about sources and keyrings.
    """
    chosen = sources_seen(manifest, state)
    keyrings: dict[str, Path] = {}

    def moved(match: re.Match[str]) -> str:
        path = Path(match[1])
        name = next((n for n, known in keyrings.items() if known == path), None)
        if name is None:
            name = f"{len(keyrings)}-{re.sub('[^A-Za-z0-9._-]', '_', path.name)}"
            keyrings[name] = path
        return f"Signed-By: {keys}/{name}"

    text = _SIGNED_BY.sub(moved, chosen.sources_text)
    return AptInside(text, keyrings, chosen.root / "lists", passed_environment())
