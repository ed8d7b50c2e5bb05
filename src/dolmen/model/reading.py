"""Reading TOML values strictly: every fault is noted with its line, and all are told at once.

tomllib keeps no lines, so a fault looks for its key from the head of the table that is being read.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from dolmen.support.errors import DeclarationError


class Reader:
    """Checks values and collects the faults of one file."""

    def __init__(self, text: str, name: str) -> None:
        self.lines = text.split("\n")
        self.name = name
        self.start = 1
        self.faults: list[tuple[int, str]] = []

    def error(self) -> DeclarationError:
        """All faults as one error ("bad-manifest")."""
        lines = [f"line {line}: {what}" for line, what in sorted(set(self.faults))]
        return DeclarationError(
            f"{self.name} has {len(lines)} fault{'s' if len(lines) > 1 else ''}",
            reason="bad-manifest",
            context=f"{self.name}, {lines[0]}",
            details=lines,
            hint=f"edit {self.name}; docs/manifest.md lists every key",
        )

    def fault(self, needle: str, what: str) -> None:
        """Note a fault at the line that sets the key `needle`, or holds it; tomllib keeps none.

        The search starts at `self.start`: the table that is being read.
        """
        key = re.compile(rf"""\s*["']?{re.escape(needle)}["']?\s*=""")
        found = [n for n, line in enumerate(self.lines, 1) if n >= self.start and key.match(line)]
        for part in (f'"{needle}"', needle):
            found += [n for n, line in enumerate(self.lines, 1) if n >= self.start and part in line]
        self.faults.append((found[0] if needle and found else self.start, what))

    def enter(self, table: str, index: int = 0) -> None:
        """Look for faults below the head of a table from here on; "" leaves it again.

        `index` counts the tables of that name, for an array of tables.
        """
        head = re.compile(
            r"\s*\[\[?\s*"
            + r"\s*\.\s*".join(rf"""["']?{re.escape(part)}["']?""" for part in table.split("."))
            + r"\s*[.\]]"
        )
        heads = [n for n, line in enumerate(self.lines, 1) if table and head.match(line)]
        self.start = heads[index] if index < len(heads) else 1

    def known(self, data: dict[str, Any], keys: Collection[str], where: str = "") -> None:
        """Note every key that does not exist, with the one that was meant."""
        for key in data.keys() - set(keys):
            place = f" in {where}" if where else ""
            self.fault(key, f"unknown key {key!r}{place}{meant(key, keys)}")

    def table(self, data: dict[str, Any], key: str) -> dict[str, Any]:
        """A table, {} where there is none."""
        value = data.get(key, {})
        if not isinstance(value, dict):
            self.fault(key, f"{key} is not a table: write [{key}]")
            return {}
        return value

    def tables(self, data: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """An array of tables."""
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(key, f"{key} is not an array of tables: write [[{key}]]")
            return []
        return value

    def string(
        self, data: dict[str, Any], key: str, pattern: re.Pattern[str], what: str
    ) -> str | None:
        """A string of that form, None where there is none."""
        value = data.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.fault(key, f"{key} is not {what}")
            return None
        return value

    def strings(
        self, data: dict[str, Any], key: str, pattern: re.Pattern[str], what: str
    ) -> tuple[str, ...]:
        """A list of strings of that form."""
        value = data.get(key, [])
        if not isinstance(value, list):
            self.fault(key, f"{key} is not a list")
            return ()
        good: list[str] = []
        for item in value:
            if isinstance(item, str) and pattern.fullmatch(item):
                good.append(item)
            else:
                self.fault(str(item), f"{key}: {str(item)[:80]!r} is not {what}")
        return tuple(good)

    def boolean(self, data: dict[str, Any], key: str) -> bool:
        """true or false, by default false."""
        value = data.get(key, False)
        if not isinstance(value, bool):
            self.fault(key, f"{key} is neither true nor false")
            return False
        return value

    def integer(self, data: dict[str, Any], key: str, low: int, high: int) -> int | None:
        """A number within bounds, None where there is none."""
        value = data.get(key)
        if value is None:
            return None
        if type(value) is not int or not low <= value <= high:
            self.fault(key, f"{key} is not a number from {low} to {high}")
            return None
        return value


def meant(key: str, known: Collection[str]) -> str:
    """The key that somebody who wrote another may have meant, as a question."""
    import difflib

    close = [name for name in sorted(known) if key.startswith(name) or name.startswith(key)]
    close += difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close and key else ""
