"""`dolmen store ls`."""

from __future__ import annotations

from dolmen.cli.reading import Argument, Option, Verb, lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dolmen.cli.session import Session
    from dolmen.store.repo.repository import Repository
    from dolmen.store.repo.tree import Entry, Tree

_TYPE = 0o170000
_LETTERS = {0o040000: "d", 0o120000: "l"}


def ls(
    current: Session,
    repository: Repository,
    *,
    revision: str,
    paths: tuple[str, ...],
    recursive: bool,
    checksum: bool,
    dironly: bool,
    xattrs: bool,
    nul_filenames_only: bool,
) -> None:
    """List files of a commit: kind and mode, owner, group, size, path."""
    from dolmen.store.repo.commits import resolve
    from dolmen.store.repo.tree import Tree

    tree = Tree(repository, resolve(repository, revision))
    entries = (
        entry
        for path in paths or ("/",)
        for entry in _listed(tree, tree.find(path), recursive, dironly)
    )
    if nul_filenames_only:
        import sys

        sys.stdout.write("".join(f"{entry.path}\0" for entry in entries))
        return
    if current.json:
        current.answer([_value(entry) for entry in entries])
        return
    from dolmen.cli import pager, text

    lines = [_line(entry, checksum, xattrs) for entry in entries]
    pager.show(text.sanitise("\n".join(lines)).split("\n"), current)


def _listed(tree: Tree, entry: Entry, recursive: bool, dironly: bool) -> Iterator[Entry]:
    if recursive:
        yield from tree.walk(entry)
        return
    yield entry
    if entry.is_directory and not dironly:
        yield from tree.children(entry)


def _line(entry: Entry, checksum: bool, xattrs: bool) -> str:
    mode = entry.mode
    letter = _LETTERS.get(mode & _TYPE, "-")
    line = f"{letter}{mode & 0o7777:05o} {entry.uid} {entry.gid} {entry.size:6d} "
    if checksum:
        line += f"{entry.checksum} {entry.meta} " if entry.meta else f"{entry.checksum} "
    if xattrs:
        from dolmen.store.repo import contents, variant

        shown = variant.text(contents.XATTRS, variant.read(contents.XATTRS, entry.serialised))
        line += f"{{ {shown} }} "
    line += entry.path
    return line if entry.target is None else f"{line} -> {entry.target}"


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


VERB = Verb(
    ls,
    examples="""
        dolmen store --repo=repo ls main
        dolmen store ls -R main /usr/share/doc
        dolmen store ls -C main~2 /etc/passwd
    """,
    options=(
        Option("-R --recursive", "recursive", "And all that is below."),
        Option("-C --checksum", "checksum", "With the checksums of objects."),
        Option("-d --dironly", "dironly", "Directories themselves, not what is in them."),
        Option("-X --xattrs", "xattrs", "With extended attributes."),
        Option("--nul-filenames-only", "nul_filenames_only", "Names only, a NUL after each."),
    ),
    arguments=(Argument("revision", "COMMIT"), Argument("paths", "[PATH]...", "*")),
)


def __getattr__(name: str) -> Any:
    return lazily(VERB, name)
