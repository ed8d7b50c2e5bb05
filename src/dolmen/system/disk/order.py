"""Which files a disk begins with: those of packages, which are known before any script has run.

Where a file lies on the disk then depends on the packages alone, so that its content can be
written while the packages are configured (`ahead.py`). The order is a function of the image: disks
that were written in one go are the same bytes.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable

from dolmen.store import usrmerged
from dolmen.system.disk.nodes import Node

#: Where a system image keeps dpkg's lists of files.
_LISTS = "usr/lib/sysimage/dpkg/info"
_BELOW = "usr/"
#: Where the kernel and what belongs to it are put once packages are configured.
_MOVED = re.compile(r"usr/lib/modules/[^/]+/[^/]+")
#: Small ones are a tenth of the bytes, and scripts change them most.
LEAST = 16 << 10


def of_packages(root: Node) -> list[Node]:
    """Those of a system's tree, in their order."""
    try:
        info = root.child(_LISTS)
    except KeyError:
        return []
    paths: set[str] = set()
    for name, node in info.entries.items():
        if name.endswith(b".list") and not node.is_link:
            text = b"".join(node.chunks()).decode(errors="surrogateescape")
            paths.update(usrmerged(line[1:]) for line in text.splitlines())
    found: dict[int, Node] = {}
    for path in in_order(paths):
        try:
            node = root.child(path)
        except (KeyError, UnicodeEncodeError):
            continue
        if is_first(node):
            found.setdefault(id(node), node)
    return list(found.values())


def in_order(paths: Iterable[str]) -> list[str]:
    """The paths below /usr, as they follow one another on a disk."""
    return sorted(path for path in paths if path.startswith(_BELOW) and not _MOVED.fullmatch(path))


def is_first(node: Node) -> bool:
    """Whether it is worth it."""
    return stat.S_ISREG(node.mode) and node.size >= LEAST
