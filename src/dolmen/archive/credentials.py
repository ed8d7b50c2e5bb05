"""Names and passwords for private archives: from a netrc file, never from a URI.

A URI with a password would end in `dolmen.lock`, and so in version control. As apt does with its
auth.conf(5), a password is sent over TLS only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dolmen.support.errors import DeclarationError


def netrc_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The user's netrc file ($NETRC, else ~/.netrc) where there is one."""
    named = environ.get("NETRC") or os.path.join(environ.get("HOME", "/nonexistent"), ".netrc")
    path = Path(named)
    return path if path.is_file() and os.access(path, os.R_OK) else None


def login(parts: SplitResult, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Name and password for a URI, or None."""
    path = netrc_file(environ) if parts.scheme == "https" else None
    if path is None:
        return None
    import netrc

    try:
        found = netrc.netrc(path).authenticators(parts.hostname or "")
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return None
    return (found[0], found[2] or "") if found is not None else None


def check_uri(uri: str) -> None:
    """Refuse a URI that holds a password; raises DeclarationError ("password-in-uri")."""
    parts = urlsplit(uri)
    if parts.username is not None or parts.password is not None:
        raise DeclarationError(
            f"the source at {parts.hostname} has a name or password in its URI, which would end "
            "in the lock",
            reason="password-in-uri",
            hint=f"write into ~/.netrc: machine {parts.hostname} login NAME password WORD; and "
            "leave both out of the URI",
        )


def without_password(uri: str) -> str:
    """A URI of the host's apt configuration as it may be shown and kept."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
