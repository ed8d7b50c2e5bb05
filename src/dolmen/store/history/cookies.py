"""The cookies that are sent to a remote, in the file where libostree looks for them."""

from __future__ import annotations

from dataclasses import dataclass

from dolmen.store.history.repository import History, told
from dolmen.support.clock import wall
from dolmen.support.errors import StoreError, UsageError
from dolmen.support.files import write_atomic

_YEARS = 25
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie; `expires` in seconds of UTC. A domain with a dot first is that of its hosts."""

    domain: str
    path: str
    name: str
    value: str
    secure: bool = False
    expires: int = 0

    def line(self) -> str:
        """As Netscape's file of cookies has it, which libcurl reads."""
        tail = "TRUE" if self.domain.startswith(".") else "FALSE"
        secure = "TRUE" if self.secure else "FALSE"
        fields = (self.domain, tail, self.path, secure, str(self.expires), self.name, self.value)
        if any(not field or field.split() != [field] for field in fields):
            raise UsageError("a part of a cookie is empty or has spaces", hint="add-cookie --help")
        return "\t".join(fields)


def cookies(history: History, remote: str) -> tuple[Cookie, ...]:
    """The cookies of a remote, in the order they were added."""
    try:
        data = (history.path / f"{remote}.cookies.txt").read_text()
    except FileNotFoundError:
        return ()
    rows = (line.split("\t") for line in data.splitlines())
    return tuple(
        Cookie(row[0], row[2], row[5], row[6], row[3] == "TRUE", int(row[4]))
        for row in rows
        if len(row) == 7 and row[4].isdigit()
    )


def add_cookie(history: History, remote: str, cookie: Cookie) -> None:
    """Add one, for 25 years as ostree does; one of the same domain, path and name goes."""
    expires = int(wall()) + _YEARS * 365 * _DAY
    added = Cookie(cookie.domain, cookie.path, cookie.name, cookie.value, expires=expires)
    kept = [found for found in cookies(history, remote) if _name(found) != _name(added)]
    _write(history, remote, [*kept, added])


def delete_cookie(history: History, remote: str, domain: str, path: str, name: str) -> None:
    """Take one away; raises StoreError ("no-cookie")."""
    found = cookies(history, remote)
    kept = [cookie for cookie in found if _name(cookie) != (domain, path, name)]
    if len(kept) == len(found):
        raise StoreError(
            "Cookie not found in jar",
            reason="no-cookie",
            hint=f"dolmen store remote list-cookies {remote}",
        )
    _write(history, remote, kept)


def _name(cookie: Cookie) -> tuple[str, str, str]:
    return cookie.domain, cookie.path, cookie.name


def _write(history: History, remote: str, found: list[Cookie]) -> None:
    if "/" in remote or remote in ("", ".", ".."):
        raise UsageError(f"no name of a remote: {remote}", hint="dolmen store remote list")
    lines = "".join(f"{cookie.line()}\n" for cookie in found)
    with history.changing(), told():
        # What a cookie lets in is nobody else's business.
        write_atomic(history.path / f"{remote}.cookies.txt", lines, mode=0o600)
