"""`dolmen list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli.options import session, verb

if TYPE_CHECKING:
    from dolmen.environment.inspect.listing import Listed


@verb(
    examples="""
        dolmen list                     (what was asked for)
        dolmen list --all               (and what that needs)
        dolmen list --outdated          (of which the archive has newer versions)
        dolmen list --all --json
    """
)
@click.option("-a", "--all", "everything", is_flag=True, help="Also what was not asked for.")
@click.option("--outdated", "only_outdated", is_flag=True, help="What has newer versions.")
@click.option("--refresh", is_flag=True, help="With --outdated: ask the archive for news first.")
def command(everything: bool, only_outdated: bool, refresh: bool) -> None:
    """List the packages of the environment, as its lock has them."""
    from dolmen.cli import pager, text
    from dolmen.environment.inspect.listing import outdated, packages
    from dolmen.environment.inspect.view import view

    current = session()
    seen = view(current.environment(), backend=current.backend())
    if only_outdated or refresh:
        found = outdated(seen, everything=everything, refresh=refresh, emit=current.emit)
        current.close()
        current.answer(found)
        pager.show(_outdated(found, paints=current.paints), current)
        if not found:
            current.say("Nothing here has a newer version in the archive")
        else:
            current.say(f"{text.count(len(found), 'package')} with newer versions")
        return
    found = packages(seen, everything=everything)
    current.answer(found)
    if not found:
        current.say("Nothing was asked for yet: dolmen install PACKAGE")
        return
    everyone = found if everything else packages(seen, everything=True)
    disk = sum(package.installed_size for package in everyone)
    total = f"{text.count(len(everyone), 'package')}, {text.size(disk)} unpacked"
    rest = len(everyone) - len(found)
    tail = f"{total} ({rest} of them needed by these: dolmen list --all)" if rest else total
    pager.show([*_plain(found, paints=current.paints), tail], current)


def _plain(found: tuple[Listed, ...], *, paints: bool) -> list[str]:
    from dolmen.cli import table, text

    def style(column: int, shown: str) -> str:
        return text.paint(shown, *("bold",) if column == 1 else ("dim",), colour=paints)

    several = len({p.architecture for p in found} - {"all"}) > 1
    cells = [
        (
            "*" if p.requested else "e" if p.essential else " ",
            f"{p.name}:{p.architecture}" if several else p.name,
            p.version,
            text.size(p.installed_size),
            p.description,
        )
        for p in found
    ]
    if all(cell[0] == "*" for cell in cells):
        return list(table.rows([("", *c[1:]) for c in cells], right=(3,), style=style))
    return list(table.rows(cells, right=(3,), style=style))


def _outdated(found: tuple[Listed, ...], *, paints: bool) -> list[str]:
    from dolmen.cli import table, text

    styles = {0: ("bold",), 3: ("green",)}
    cells = [(p.name, p.version, "→", p.newest or "", p.suite or "") for p in found]
    return list(
        table.rows(
            cells, style=lambda column, s: text.paint(s, *styles.get(column, ()), colour=paints)
        )
        if paints
        else table.rows(cells)
    )
