"""Files that every image has, so that an entry can cover them (`sandbox.MOUNT_POINTS`)."""

from __future__ import annotations

import posixpath

from dolmen.sandbox.mountpoints import MOUNT_POINTS
from dolmen.store.builder import TreeBuilder


def mount_points(builder: TreeBuilder) -> None:
    """Put a regular file at each: what is there, or is linked there, or the default."""
    for path, content in MOUNT_POINTS.items():
        _mount_point(builder, path, content)


def _mount_point(builder: TreeBuilder, path: str, content: str) -> None:
    present = builder.find(path)
    for _ in range(8):
        target = builder.link_target(present) if present else None
        if present is None or target is None:
            break
        path_of_target = posixpath.join(posixpath.dirname(path), target)
        present = builder.find(posixpath.normpath(path_of_target))
    if present is None:
        builder.add_file(path, content.encode())
    else:
        builder.link(path, present)
