"""What the file system says about our own files, as errors a user can act on."""

from __future__ import annotations

import errno

from dolmen.support.errors import StoreError


def storage_error(error: OSError) -> StoreError:
    """The error for a failed write; reasons "disk-full" and "unwritable"."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(str(error.filename or ""))
    return StoreError(
        f"the store cannot be written: {error.strerror or error}",
        reason="unwritable",
        context=str(error.filename or ""),
        hint="check its owner and mode, or choose another: dolmen --store DIRECTORY",
    )


def disk_full(where: str) -> StoreError:
    """The error for a disk or a quota without room."""
    return StoreError(
        "the disk is full",
        reason="disk-full",
        context=where,
        hint="make room, then run the same command again: what was fetched is kept",
    )
