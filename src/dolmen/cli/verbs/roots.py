"""`dolmen roots`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import common, group, session


@group(
    examples="""
        dolmen roots
        dolmen roots forget ~/old-project     (it is gone for good: do not wait for its lease)
    """
)
@click.pass_context
def command(context: click.Context) -> None:
    """List the directories whose generations keep images in the store.

    One that cannot be read (deleted, moved, on a disk that is away) counts for the time that the
    setting gc.dead-roots says, and then no longer.
    """
    if context.invoked_subcommand is not None:
        return
    from dolmen.cli import pager, table
    from dolmen.environment.rooting import list_roots
    from dolmen.store import Store

    current = session()
    found = list_roots(Store.open(current.store))
    current.answer(found)
    rows = []
    for root in found:
        if root.there:
            state = text.count(root.generations, "generation")
        elif root.missing_since:
            state = f"not there since {root.missing_since[:10]}"
        else:
            state = "not there"
        rows.append([state, "ad hoc" if root.ad_hoc else "", str(root.directory)])
    pager.show(table.rows(rows), current)


@command.command("forget")
@common
@click.argument("directory", metavar="DIR")
def forget_command(directory: str) -> None:
    """Stop keeping what DIR needs; if it is still there, its next command registers it again."""
    from pathlib import Path

    from dolmen.environment.rooting import forget_root
    from dolmen.store import Store

    current = session()
    path = forget_root(Store.open(current.store), Path(directory))
    current.answer({"directory": path})
    current.say(f"{text.sanitise(str(path))} keeps nothing any more. Next: dolmen gc")
