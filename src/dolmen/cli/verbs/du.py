"""`dolmen du`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen du                       (every environment of the store, and the store's parts)
        dolmen du --generations
        dolmen du --json
    """
)
@click.option("-g", "--generations", is_flag=True, help="Each generation as well.")
def command(generations: bool) -> None:
    """Say how much room environments take: their own, shared with others, together.

    Own is what removing it would give back. Sizes are those on the disk, by object.
    """
    from dolmen.cli import pager, table
    from dolmen.environment.usage import store_usage
    from dolmen.store import Store

    current = session()
    found = store_usage(Store.open(current.store))
    current.answer(found)
    rows = [["own", "shared", "total", "environment"]]
    for one in found.environments:
        usage = one.usage
        name = str(one.directory) if one.there else f"{one.directory} (not there)"
        rows.append([*map(text.size, (usage.own, usage.shared, usage.total)), name])
        for each in one.generations if generations else ():
            usage = each.usage
            sizes = map(text.size, (usage.own, usage.shared, usage.total))
            rows.append([*sizes, f"  generation {each.number}"])
    lines = list(table.rows(rows, right=(0, 1, 2))) if found.environments else []
    parts = [[text.size(part.size), str(part.count), part.name] for part in found.parts]
    parts.append([text.size(found.total), "", f"the store, {found.path}"])
    lines += ["", *table.rows([["size", "files", "part"], *parts], right=(0, 1))]
    if found.unreferenced:
        lines.append(f"{text.size(found.unreferenced)} of it are needed by nothing: dolmen gc")
    pager.show(lines, current)
