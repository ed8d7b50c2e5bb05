"""`dolmen history`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen history
        dolmen history -n 5
        dolmen history --json
    """
)
@click.option(
    "-n", "--lines", type=click.IntRange(min=1), metavar="N", help="Only the newest N entries."
)
def command(lines: int | None) -> None:
    """Tell what was live when: time, who, command, from which generation to which.

    Oldest first. The log is only ever appended to; names, pins and removed generations are in it.
    """
    from dolmen.cli import pager, table
    from dolmen.environment import generations

    current = session()
    found = generations.read_history(current.environment())
    found = found[-lines:] if lines else found
    current.answer(found)
    rows = []
    for entry in found:
        moved = f"{entry.before or '-'} → {entry.after}"
        rows.append(
            [
                entry.time.replace("T", " ").removesuffix("Z"),
                entry.user,
                entry.note if entry.before == entry.after else moved,
                text.sanitise(entry.action),
            ]
        )
    pager.show(table.rows(rows), current)
