"""dpkg's order of versions (deb-version(7)), by libapt."""

from __future__ import annotations

from functools import cache


@cache
def _ready() -> None:
    import apt_pkg

    # Comparing needs a "system" only; its configuration is never looked at in this process.
    apt_pkg.init_config()
    apt_pkg.init_system()


def compare_versions(first: str, second: str) -> int:
    """Negative, zero or positive as `first` is older than, equal to or newer than `second`."""
    _ready()
    import apt_pkg

    return int(apt_pkg.version_compare(first, second))
