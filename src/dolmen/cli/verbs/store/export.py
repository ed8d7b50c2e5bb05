"""`dolmen store export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo export main -o tree.tar
        dolmen store export main -o tree.tar.zst
        dolmen store export main --subpath=/usr/share --prefix=share/ | tar t
    """
)
@click.option("-o", "--output", metavar="FILE", help="Where to (default: standard output).")
@click.option(
    "--compress",
    type=click.Choice(["none", "gzip", "zstd"]),
    help="How (default: what FILE's name says: .tar, .tar.gz, .tar.zst).",
)
@click.option("--subpath", metavar="PATH", default="/", help="Only this directory.")
@click.option("--prefix", metavar="PREFIX", default="", help="What to put before each name.")
@click.option("--no-xattrs", is_flag=True, help="Leave extended attributes out.")
@click.argument("revision", metavar="COMMIT")
def command(
    revision: str,
    output: str | None,
    compress: str | None,
    subpath: str,
    prefix: str,
    no_xattrs: bool,
) -> None:
    """Write a commit as tar; the same commit gives the same bytes everywhere and at any time."""
    from dolmen.store.history import exporting, revisions, tree
    from dolmen.support.errors import UsageError

    if output is None and sys.stdout.isatty():
        raise UsageError("a tar is not for terminals", hint="dolmen store export COMMIT -o FILE")
    history = storing.opened()
    found = tree.Tree(history, revisions.resolve(history, revision))
    found.find(subpath)
    how = {"none": None}.get(compress or "", compress)
    if compress is None:
        ends = exporting.COMPRESSIONS.items()
        how = next((way for end, way in ends if (output or "").endswith(end)), None)
    if output is None:
        exporting.export(
            found,
            sys.stdout.buffer,
            subpath=subpath,
            prefix=prefix,
            xattrs=not no_xattrs,
            compression=how,
        )
        sys.stdout.buffer.flush()
        return
    with Path(output).open("wb") as stream:
        count = exporting.export(
            found, stream, subpath=subpath, prefix=prefix, xattrs=not no_xattrs, compression=how
        )
    session().answer({"commit": found.commit.checksum, "output": output, "names": count})
