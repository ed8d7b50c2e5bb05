"""`dolmen search`."""

from __future__ import annotations

import click

from dolmen.cli.options import looked_at, session, verb

_SHOWN = 100


@verb(
    examples="""
        dolmen search json parser       (all words, in names and descriptions)
        dolmen search --suite trixie ripgrep
        dolmen search --limit 0 python  (everything that fits)
        dolmen search --json jq
    """
)
@click.argument("words", metavar="WORD…", nargs=-1, required=True)
@click.option("--suite", metavar="SUITE", help="Look there (default: the environment's, or ours).")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=_SHOWN,
    metavar="N",
    help=f"At most this many, the best ones; 0 for all (default: {_SHOWN}).",
)
@click.option("--refresh", is_flag=True, help="Ask the archive for news first.")
def command(words: tuple[str, ...], suite: str | None, limit: int, refresh: bool) -> None:
    """Search the archive's packages by name and description; installed ones are marked.

    Exact names come first, then names that begin with a word, then others. Works without a network
    once the package index was fetched.
    """
    from dolmen.cli import pager, table, text
    from dolmen.environment.inspect.searching import search

    current = session()
    seen = looked_at(current, suite)
    found = search(seen, words, limit=limit or None, refresh=refresh, emit=current.emit)
    current.close()
    current.answer(found)
    if not found.hits:
        where = seen.manifest.suite
        current.say(f"Nothing in {text.sanitise(where)} fits {text.sanitise(' '.join(words))}")
        if not current.json:
            raise click.exceptions.Exit(1)
        return
    styles = {0: ("green",), 1: ("bold",), 2: ("dim",)}
    cells = [(_mark(h.installed), h.name, h.version, h.description) for h in found.hits]
    paints = current.paints
    lines = list(
        table.rows(cells, style=lambda c, s: text.paint(s, *styles.get(c, ()), colour=paints))
        if paints
        else table.rows(cells)
    )
    if found.total > len(found.hits):
        more = found.total - len(found.hits)
        lines.append(f"and {more} more: name another word, or --limit 0")
    pager.show(lines, current)


def _mark(installed: str | None) -> str:
    return "i" if installed else ""
