"""Users and groups that an image and this machine know by different numbers.

Files of the image belong to the image's numbers, and /etc/passwd and /etc/group may stay this
machine's (etc.py): a setgid program would be another group's. Images of one lock's history agree,
for a lock keeps its numbers; images that were locked apart need not.
"""

from __future__ import annotations

from pathlib import Path

from dolmen.support.events import Emit, Notice, ignore

_SHOWN = 8


def other_numbers(here: Path, image: Path) -> tuple[str, ...]:
    """What two directories like /etc disagree about, as "user NAME: 100 here, 999 in the image"."""
    found = []
    for kind, table in (("user", "passwd"), ("group", "group")):
        ours, theirs = _numbers(here / table), _numbers(image / table)
        found += [
            f"{kind} {name}: {ours[name]} here, {theirs[name]} in the image"
            for name in sorted(ours.keys() & theirs.keys())
            if ours[name] != theirs[name]
        ]
    return tuple(found)


def tell(here: Path, image: Path, emit: Emit = ignore) -> None:
    """Warn of what they disagree about."""
    found = other_numbers(here, image)
    if not found:
        return
    shown = "; ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
    text = f"{len(found)} accounts have other numbers in the image ({shown}): "
    text += "files may be another's after the start. Where images are built, a lock that was made "
    text += "from the one before keeps them (dolmen upgrade --suite)"
    emit(Notice(text, level="warning"))


def _numbers(table: Path) -> dict[str, str]:
    """Names and numbers of passwd(5) or group(5); none where there is no such file."""
    try:
        lines = table.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    fields = (line.split(":") for line in lines)
    return {row[0]: row[2] for row in fields if len(row) > 2 and row[2].isdecimal()}
