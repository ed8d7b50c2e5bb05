"""Pins: which versions of a package to prefer, or never to take (apt_preferences(5)).

`"=7.88*"` (versions, with shell patterns), `"/bookworm-backports"` (a suite, or the name of a
source), each with an optional priority behind a blank; or a priority alone, for all versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dolmen.model.reading import Reader

#: What a pin without a priority has: above whatever a source may have (apt_preferences(5): a
#: version is installed "even if this constitutes a downgrade").
DEFAULT = 1001
LOWEST, HIGHEST = -32768, 32767

PACKAGE = re.compile(r"[a-z0-9*?][a-z0-9+.*?-]*")
PIN = re.compile(
    r"(?:=(?P<version>[0-9A-Za-z*?][A-Za-z0-9.+~:*?-]{0,255})|/(?P<suite>[A-Za-z0-9][A-Za-z0-9._-]*))"
    r"(?: +(?P<priority>-?[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Pin:
    """`package` may be a pattern; neither version nor suite: all versions."""

    package: str
    version: str | None = None
    suite: str | None = None
    priority: int = DEFAULT

    @property
    def is_pattern(self) -> bool:
        """Whether it may mean several packages."""
        return "*" in self.package or "?" in self.package

    def means(self, name: str) -> bool:
        """Whether it is about a package."""
        return fnmatchcase(name, self.package)

    def __str__(self) -> str:
        """As the manifest has it."""
        what = f"={self.version}" if self.version else f"/{self.suite}" if self.suite else ""
        if not what:
            return str(self.priority)
        return what if self.priority == DEFAULT else f"{what} {self.priority}"


def parse_pin(package: str, value: object) -> Pin | None:
    """One line of [pins]; None where it is none."""
    if not PACKAGE.fullmatch(package) or len(package) > 128:
        return None
    if type(value) is int:
        return Pin(package, priority=value) if LOWEST <= value <= HIGHEST and value else None
    match = PIN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    priority = int(match["priority"]) if match["priority"] else DEFAULT
    if not LOWEST <= priority <= HIGHEST or priority == 0:
        return None
    return Pin(package, match["version"], match["suite"], priority)


def read_pins(reader: Reader, data: dict[str, Any]) -> tuple[Pin, ...]:
    """The table [pins], names before patterns; faults go to the reader."""
    table = reader.table(data, "pins")
    reader.enter("pins")
    found: list[Pin] = []
    for package, value in table.items():
        pin = parse_pin(package, value)
        if pin is None:
            reader.fault(
                package,
                f'pins: {package[:80]} = {str(value)[:80]!r} is no pin; write "=VERSION" or '
                '"/SUITE", a priority behind a blank where need be, or a priority alone (not 0)',
            )
        else:
            found.append(pin)
    reader.enter("")
    return in_order(found)


def in_order(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    """Names before patterns, longer ones before shorter: the first that means a package counts."""
    return tuple(sorted(pins, key=lambda pin: (pin.is_pattern, -len(pin.package), pin.package)))
