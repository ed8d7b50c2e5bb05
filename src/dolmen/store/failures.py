"""What the system says about the store's file system, in words of ours."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from dolmen.support.errors import StoreError


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the system's complaints into StoreError ("store-full", "store-failed")."""
    try:
        yield
    except OSError as error:
        raise store_error(
            what, str(error), full=error.errno in (errno.ENOSPC, errno.EDQUOT)
        ) from error


def store_error(what: str, message: str, *, full: bool) -> StoreError:
    """An error about the store as a whole."""
    if full:
        return StoreError(
            "no space is left on the store's file system",
            reason="store-full",
            context=message,
            hint="free space there, for example with: dolmen gc",
        )
    return StoreError(
        f"the store cannot be used ({what}): {message}",
        reason="store-failed",
        hint="dolmen doctor",
    )
