"""What a sysroot remembers beside libostree: how far its images have come.

A server that shows an older image again, correctly signed, would undo security updates. The highest
sequence number that was ever started from here is kept, so that a rollback does not open the door
to what lies between.
"""

from __future__ import annotations

import json
from pathlib import Path

from dolmen.store.sysroot import Sysroot
from dolmen.support.files import write_atomic

FORMAT = 1


def highest_sequence(sysroot: Sysroot) -> int:
    """The highest sequence number so far; 0 where nothing is known."""
    highest = max((one.sequence for one in sysroot.own()), default=0)
    try:
        values = json.loads(_path(sysroot).read_text())
        known = values["sequence"]
        if values["format"] == FORMAT and type(known) is int:
            # An administrator who asked for a downgrade has set it back.
            return known
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return highest


def remember_sequence(sysroot: Sysroot, sequence: int) -> None:
    """Set it: raised by what is deployed, lowered only by a downgrade that was asked for."""
    path = _path(sysroot)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps({"format": FORMAT, "sequence": sequence}) + "\n")


def _path(sysroot: Sysroot) -> Path:
    return sysroot.path / "ostree/dolmen" / f"{sysroot.osname}.json"
