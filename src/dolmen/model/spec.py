"""What a user may ask for: `name`, `name=version`, `name/suite`, `name:arch`, and their mixtures.

In a manifest `[amd64 arm64]` or `[!i386]` behind a blank restricts it to environments of these
architectures, as in Build-Depends (deb-src-control(5)). Package names follow Debian Policy 5.6.1,
versions 5.6.12, architectures deb-src-control(5). The characters are checked strictly: a
specification is passed on to apt and printed in terminals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from dolmen.support.errors import DeclarationError

_NAME = r"[a-z0-9][a-z0-9+.-]+"
PACKAGE_NAME = re.compile(_NAME)
PATTERN = re.compile(
    rf"(?P<name>{_NAME})"
    r"(?::(?P<architecture>[a-z0-9][a-z0-9-]*))?"
    r"(?:=(?P<version>(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*)"
    r"|/(?P<suite>[A-Za-z0-9][A-Za-z0-9._-]*))?"
    r"(?: +\[ *(?P<only>!?[a-z0-9][a-z0-9-]*(?: +!?[a-z0-9][a-z0-9-]*)*) *\])?"
)
MAX_LENGTH = 512


@dataclass(frozen=True, slots=True, order=True)
class Spec:
    """One requested package; `version` and `suite` exclude each other.

    `only`: the architectures of environments that it is for, all with `!` before them or none;
    empty: every one.
    """

    name: str
    architecture: str | None = None
    version: str | None = None
    suite: str | None = None
    only: tuple[str, ...] = ()

    def is_for(self, architecture: str) -> bool:
        """Whether an environment of that native architecture has it."""
        if not self.only:
            return True
        if self.only[0].startswith("!"):
            return f"!{architecture}" not in self.only
        return architecture in self.only

    def plain(self) -> Spec:
        """Without the restriction."""
        return replace(self, only=()) if self.only else self

    def __str__(self) -> str:
        text = self.name
        if self.architecture:
            text += f":{self.architecture}"
        if self.version:
            text += f"={self.version}"
        elif self.suite:
            text += f"/{self.suite}"
        if self.only:
            text += f" [{' '.join(self.only)}]"
        return text


def parse_spec(text: str) -> Spec:
    """Read a specification; raises DeclarationError (reason "bad-spec")."""
    match = PATTERN.fullmatch(text) if len(text) <= MAX_LENGTH else None
    only = tuple((match["only"] or "").split()) if match is not None else ()
    mixed = len({word.startswith("!") for word in only}) > 1
    if match is None or mixed:
        raise DeclarationError(
            f"{text[:80]!r} is not a package specification",
            reason="bad-spec",
            hint="write name, name=version, name/suite or name:arch, for example: python3",
        )
    return Spec(match["name"], match["architecture"], match["version"], match["suite"], only)
