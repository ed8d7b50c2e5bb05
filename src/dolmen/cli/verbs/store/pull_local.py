"""`dolmen store pull-local`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=mine pull-local other-repo
        dolmen store --repo=mine pull-local other-repo main --depth=-1
    """
)
@click.option("--remote", metavar="NAME", help="Keep the refs as NAME:REF.")
@click.option("--depth", type=int, default=0, metavar="N", help="Parents to take; -1 for all.")
@click.option("--untrusted", is_flag=True, help="Check every object that comes.")
@click.option("--bareuseronly-files", is_flag=True, help="Refuse what bare-user-only cannot keep.")
@click.option("--commit-metadata-only", is_flag=True, help="Commits without their trees.")
@click.option("--fsync", type=click.BOOL, default=True, metavar="BOOL", help="Wait for the disk.")
@click.option("--disable-fsync", is_flag=True, hidden=True)
@click.argument("source", metavar="REPO")
@click.argument("names", metavar="[REF]...", nargs=-1)
def command(
    source: str,
    names: tuple[str, ...],
    remote: str | None,
    depth: int,
    untrusted: bool,
    bareuseronly_files: bool,
    commit_metadata_only: bool,
    fsync: bool,
    disable_fsync: bool,
) -> None:
    """Copy refs (default: all) from another repository of this machine, with what they need."""
    from dolmen.store.history import pulling

    history = storing.opened()
    done = pulling.pull_local(
        history,
        Path(source.removeprefix("file://")),
        names,
        remote=remote,
        depth=depth,
        untrusted=untrusted,
        bareuseronly_files=bareuseronly_files,
        commit_metadata_only=commit_metadata_only,
        sync=fsync and not disable_fsync,
    )
    current = session()
    current.answer(done)
    current.say(text.sanitise(done.summary))
