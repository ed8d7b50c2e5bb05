"""Text for plain sh."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dolmen.support.errors import DeclarationError

_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quote(text: str) -> str:
    """One word that sh reads back as exactly `text`; raises DeclarationError ("bad-text") on NUL.

    Everything but plain words goes between single quotes, where sh knows no escapes (POSIX shell
    language, 2.2.2); a word that looks like an assignment stays a word by its position.
    """
    if "\0" in text:
        raise DeclarationError("a NUL character cannot be passed to a command", reason="bad-text")
    if _SAFE.fullmatch(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def words(items: Iterable[str]) -> str:
    """Several words, one line."""
    return " ".join(quote(item) for item in items)


def is_variable(name: str) -> bool:
    """Whether `name` can be the name of an environment variable that shells keep."""
    return _VARIABLE.fullmatch(name) is not None


def label(name: str) -> str:
    """A name fit for prompts: shells and terminals give its characters no meaning of their own."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-")[:64] or "dolmen"
