"""What a generation recorded of its lock."""

from __future__ import annotations

import contextlib

from dolmen.environment import generations
from dolmen.environment.layout import Environment, read_text
from dolmen.model import Lock, parse_lock
from dolmen.model.lock import FILE_NAME as LOCK_NAME
from dolmen.support.errors import DeclarationError, DolmenError


def lock_of(environment: Environment, number: int) -> Lock | None:
    """What of its lock a generation was made from; None where it is missing or damaged."""
    try:
        text = read_text(generations.directory_of(environment, number) / LOCK_NAME)
        if text is None:
            return None
        lock = parse_lock(text)
        with contextlib.suppress(DeclarationError):
            return lock.selected(generations.read(environment, number).groups)
        return lock
    except (OSError, UnicodeDecodeError, DolmenError):
        return None
