"""`dolmen store ls`."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dolmen.cli import pager, storing, text
from dolmen.cli.options import session

if TYPE_CHECKING:
    from dolmen.store.history.tree import Entry, Tree

_LETTERS = {stat.S_IFDIR: "d", stat.S_IFLNK: "l"}


@storing.store_verb(
    examples="""
        dolmen store --repo=repo ls main
        dolmen store ls -R main /usr/share/doc
        dolmen store ls -C main~2 /etc/passwd
    """
)
@click.option("-R", "--recursive", is_flag=True, help="And all that is below.")
@click.option("-C", "--checksum", is_flag=True, help="With the checksums of objects.")
@click.option("-d", "--dironly", is_flag=True, help="Directories themselves, not what is in them.")
@click.option("-X", "--xattrs", is_flag=True, help="With extended attributes.")
@click.option("--nul-filenames-only", is_flag=True, help="Names only, a NUL after each.")
@click.argument("revision", metavar="COMMIT")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
def command(
    revision: str,
    paths: tuple[str, ...],
    recursive: bool,
    checksum: bool,
    dironly: bool,
    xattrs: bool,
    nul_filenames_only: bool,
) -> None:
    """List files of a commit: kind and mode, owner, group, size, path."""
    from dolmen.store.history import revisions, tree

    history = storing.opened()
    found = tree.Tree(history, revisions.resolve(history, revision))
    entries = [
        entry
        for path in paths or ("/",)
        for entry in _listed(found, found.find(path), recursive, dironly)
    ]
    current = session()
    if nul_filenames_only:
        sys.stdout.write("".join(f"{entry.path}\0" for entry in entries))
        return
    if current.json:
        current.answer([_value(entry) for entry in entries])
    pager.show((_line(entry, checksum, xattrs) for entry in entries), current)


def _listed(found: Tree, entry: Entry, recursive: bool, dironly: bool) -> Iterator[Entry]:
    if recursive:
        yield from found.walk(entry)
        return
    yield entry
    if entry.is_directory and not dironly:
        yield from found.children(entry)


def _line(entry: Entry, checksum: bool, xattrs: bool) -> str:
    letter = _LETTERS.get(stat.S_IFMT(entry.mode), "-")
    line = f"{letter}{stat.S_IMODE(entry.mode):05o} {entry.uid} {entry.gid} {entry.size:6d} "
    if checksum:
        line += f"{entry.checksum} {entry.meta} " if entry.meta else f"{entry.checksum} "
    if xattrs:
        from dolmen.store.history.tree import xattrs_text

        line += f"{{ {xattrs_text(entry)} }} "
    line += text.sanitise(entry.path)
    return line if entry.target is None else f"{line} -> {text.sanitise(entry.target)}"


def _value(entry: Entry) -> dict[str, object]:
    return {
        "path": entry.path,
        "mode": f"{entry.mode:06o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "checksum": entry.checksum,
        "meta": entry.meta,
        "target": entry.target,
        "xattrs": {name: value.hex() for name, value in entry.xattrs},
    }
