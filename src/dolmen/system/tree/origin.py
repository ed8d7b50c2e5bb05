"""Where a file in /var comes from: what the tree itself says of files that no rule names."""

from __future__ import annotations

from functools import cached_property

from dolmen.system.tree.construction import Construction
from dolmen.system.tree.database import ADMIN


class Origins:
    """Asked after `database.move`, and read from the tree only when there is a question."""

    def __init__(self, work: Construction) -> None:
        self._work = work

    def shipped(self, path: str) -> bool:
        """Whether a package has the file in its archive, as dpkg's lists say."""
        return f"/{path}" in self._listed

    def same_in_usr(self, path: str) -> str | None:
        """The first file below /usr of the same content, owner and mode: a script copied it."""
        found = self._work.builder.find(path)
        return None if found is None else self._by_object.get(found)

    def is_empty(self, path: str) -> bool:
        """Whether the file says something by being there alone."""
        return self._work.builder.read(path) == b""

    @cached_property
    def _listed(self) -> frozenset[str]:
        below = f"{ADMIN}/info"
        lists = (name for name in self._work.names(below) if name.endswith(".list"))
        return frozenset(
            line
            for name in lists
            for line in self._work.text(f"{below}/{name}").splitlines()
            if line.startswith("/var/")
        )

    @cached_property
    def _by_object(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path, checksum in self._work.builder.files("usr"):
            found.setdefault(checksum, path)
        return found
