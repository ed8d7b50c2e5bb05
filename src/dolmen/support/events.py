"""What core code tells while it works.

Core functions take `emit`, a callable that receives these values; a progress bar, a JSON stream,
a log and the tests are only different callables. Nothing below `cli/` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """The steps of a build that a user sees, in their order; the value is what is printed."""

    UPDATE = "Updated"
    INDEX = "Indexed"
    CONTENTS = "Indexed file names"
    DESCRIPTIONS = "Fetched descriptions"
    SOLVE = "Resolved"
    FETCH = "Fetched"
    IMPORT = "Imported"
    COMPOSE = "Composed"
    CONFIGURE = "Configured"
    INITRAMFS = "Made initramfs"
    FINISH = "Finished system"
    COMMIT = "Committed"
    REALISE = "Realised"
    VERIFY = "Verified"
    COLLECT = "Collected"
    CHECK = "Checked"
    PULL = "Pulled"
    DEPLOY = "Deployed"
    WRITE = "Written"


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """Work began; `total` counts items (packages, files), 0 where unknown."""

    phase: Phase
    total: int = 0


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """`done` of `total` items; bytes where the phase moves bytes; `item` is what is worked on."""

    phase: Phase
    done: int = 0
    total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    item: str = ""


@dataclass(frozen=True, slots=True)
class PhaseFinished:
    """Work ended after `seconds`; `cached` of the `count` items were there already."""

    phase: Phase
    count: int
    seconds: float
    size: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class SlowScript:
    """One package's configuration took `seconds`, long enough for a user to wonder."""

    package: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process holds `what`; we wait for it."""

    what: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth a line that is not an error; `level` is "note", "warning" or "hint"."""

    message: str
    level: str = "note"


Event = PhaseStarted | PhaseProgress | PhaseFinished | SlowScript | Waiting | Notice
Emit = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""
