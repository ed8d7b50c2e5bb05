"""The only place that reads a clock, so that what may depend on time can be found by name."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime


def now() -> datetime:
    """The current time, UTC, whole seconds; SOURCE_DATE_EPOCH wins where it is set."""
    from datetime import UTC, datetime

    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    plain = epoch.isascii() and epoch.isdecimal() and len(epoch) <= 11
    stamp = int(epoch) if plain else int(time.time())
    return datetime.fromtimestamp(stamp, UTC)


def monotonic() -> float:
    """Seconds for measuring durations."""
    return time.monotonic()


def wall() -> float:
    """Seconds since 1970 for the age of caches; what was built never depends on it."""
    return time.time()


def utc_text(stamp: int) -> str:
    """A time of UTC as git and ostree print it: `2023-09-07 07:16:57 +0000`."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(stamp))


def local_text(stamp: int) -> str:
    """A time of this machine's zone, as its locale has it: `Tue Sep 10 02:29:42 2013`."""
    return time.strftime("%c", time.localtime(stamp))
