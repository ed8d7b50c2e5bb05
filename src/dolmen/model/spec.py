"""What a user may ask for: `name`, `name=version`, `name/suite`, `name:arch`, and their mixtures.

Package names follow Debian Policy 5.6.1, versions 5.6.12, architectures deb-src-control(5). The
characters are checked strictly: a specification is passed on to apt and printed in terminals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dolmen.support.errors import DeclarationError

_NAME = r"[a-z0-9][a-z0-9+.-]+"
PACKAGE_NAME = re.compile(_NAME)
_SPEC = re.compile(
    rf"(?P<name>{_NAME})"
    r"(?::(?P<architecture>[a-z0-9][a-z0-9-]*))?"
    r"(?:=(?P<version>(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*)"
    r"|/(?P<suite>[A-Za-z0-9][A-Za-z0-9._-]*))?"
)
_MAX_LENGTH = 512


@dataclass(frozen=True, slots=True, order=True)
class Spec:
    """One requested package; `version` and `suite` exclude each other."""

    name: str
    architecture: str | None = None
    version: str | None = None
    suite: str | None = None

    def __str__(self) -> str:
        text = self.name
        if self.architecture:
            text += f":{self.architecture}"
        if self.version:
            text += f"={self.version}"
        elif self.suite:
            text += f"/{self.suite}"
        return text


def parse_spec(text: str) -> Spec:
    """Read a specification; raises DeclarationError (reason "bad-spec")."""
    match = _SPEC.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise DeclarationError(
            f"{text[:80]!r} is not a package specification",
            reason="bad-spec",
            hint="write name, name=version, name/suite or name:arch, for example: python3",
        )
    return Spec(**match.groupdict())
