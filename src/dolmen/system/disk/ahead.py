"""A disk image's first bytes, written while packages are configured.

Packages' scripts keep a processor busy and leave the disk idle; what the disk image begins with
(`order.py`) is known by then. A thread writes it where it will belong, as far as that can be told.
Nothing depends on that: what turns out to lie elsewhere, or to be something else, is made a hole
again, and written with the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from dolmen.model import Sha256
from dolmen.store.objects import Objects
from dolmen.support.errors import DolmenError, StoreError
from dolmen.system.disk.committed import object_node
from dolmen.system.disk.ext4 import extents
from dolmen.system.disk.ext4.geometry import BLOCK, INODE, shape
from dolmen.system.disk.ext4.plan import Written
from dolmen.system.disk.ext4.space import Run, Space
from dolmen.system.disk.layout import MIB, DiskOptions, Names, divide
from dolmen.system.disk.media import Sparse, make_hole
from dolmen.system.disk.nodes import Node
from dolmen.system.disk.order import in_order, is_first

#: About what a system has that its packages do not bring: initramfs, bytecode, databases.
_MADE = 64 * MIB
#: Metadata objects for each directory: dirtree and its place in `objects`.
_DIRECTORY = 2 * (BLOCK + INODE)


class Ahead:
    """Writes into the file of a raw disk image that is to be; `fd` is empty and stays the caller's.

    `begin` may be called once, `finish` ends it; `give_up` makes holes of what is of no use.
    """

    def __init__(self, fd: int, options: DiskOptions) -> None:
        self.fd = fd
        self._options = options
        self._start = 0
        self._touched: dict[str, tuple[Run, ...]] = {}
        self._written: dict[str, tuple[Run, ...]] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, objects: Objects, files: Mapping[str, Sha256]) -> None:
        """Begin with these: the packages' files by their path (aliased directories rewritten)."""
        self._thread = threading.Thread(target=self._run, args=(objects, files), daemon=True)
        self._thread.start()

    def finish(self) -> Written:
        """Stop, and say where which objects' contents are; counted from the root's first block."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        return self._written

    def give_up(self, kept: set[str]) -> None:
        """Have holes again where anything but the objects that are kept was written."""
        for checksum, runs in self._touched.items():
            if checksum not in kept:
                for first, count in runs:
                    make_hole(self.fd, self._start + first * BLOCK, count * BLOCK)

    def _run(self, objects: Objects, files: Mapping[str, Sha256]) -> None:
        # A full disk, a damaged object, a size that is too small: told when the disk is written.
        try:
            self._write(objects, files)
        except (DolmenError, OSError):
            return

    def _write(self, objects: Objects, files: Mapping[str, Sha256]) -> None:
        nodes = {checksum: object_node(objects, checksum) for checksum in set(files.values())}
        layout = divide(self._options, Names(""), _content(files, nodes))
        space = Space(shape(layout.root.size, 0))
        self._start = layout.root.start
        medium = Sparse(self.fd, layout.size)
        for checksum in dict.fromkeys(files[path] for path in in_order(files)):
            node = nodes[checksum]
            if not is_first(node):
                continue
            runs, _ = extents.lay(space, -(-node.size // BLOCK))
            self._touched[checksum] = tuple(runs)
            # One of the transaction's own may have got its place in the repository meanwhile.
            with suppress(StoreError):
                for offset, pieces in _pieces(node, runs):
                    if self._end.is_set():
                        return
                    medium.write(self._start + offset, pieces)
                self._written[checksum] = self._touched[checksum]


def _content(files: Mapping[str, Sha256], nodes: Mapping[Sha256, Node]) -> int:
    """About how many bytes the root takes, as `Prepared` counts them."""
    blocks = sum(-(-node.size // BLOCK) for node in nodes.values() if not node.is_link)
    directories = len({path.rpartition("/")[0] for path in files})
    total = blocks * BLOCK + len(nodes) * INODE + directories * _DIRECTORY + _MADE
    return total + total // 12 + 16 * MIB


def _pieces(node: Node, runs: list[Run]) -> Iterator[tuple[int, list[bytes]]]:
    """A file's content, cut where its runs end."""
    places = iter(runs)
    offset = left = 0
    for data in node.chunks():
        view = data
        while view:
            if not left:
                first, count = next(places)
                offset, left = first * BLOCK, count * BLOCK
            part = view[:left]
            yield offset, [part]
            offset += len(part)
            left -= len(part)
            view = view[len(part) :]


@contextmanager
def ahead(fd: int, options: DiskOptions) -> Iterator[Ahead]:
    """The same for a block, at whose end nothing is written any more."""
    writer = Ahead(fd, options)
    try:
        yield writer
    finally:
        writer.finish()
