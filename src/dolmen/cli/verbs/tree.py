"""`dolmen tree`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dolmen.cli.options import session, verb

if TYPE_CHECKING:
    from dolmen.environment.inspect.graph import Node

_MARKS = {"circle": " (circle)", "above": " (see above)"}


@verb(
    examples="""
        dolmen tree                     (from what was asked for)
        dolmen tree --depth 2 curl
        dolmen tree --invert libssl3    (who needs it, up to what was asked for)
    """
)
@click.argument("packages", metavar="[PACKAGE…]", nargs=-1)
@click.option("-i", "--invert", is_flag=True, help="Who needs it, instead of what it needs.")
@click.option("-d", "--depth", type=click.IntRange(1), metavar="N", help="So deep, no deeper.")
def command(packages: tuple[str, ...], invert: bool, depth: int | None) -> None:
    """Show the tree of dependencies; what was shown before is not repeated."""
    from dolmen.cli import pager
    from dolmen.environment.inspect.graph import Graph, tree
    from dolmen.environment.inspect.view import view
    from dolmen.support.errors import UsageError

    current = session()
    if invert and not packages:
        raise UsageError("--invert needs a package", hint="dolmen tree --invert PACKAGE")
    seen = view(current.environment(), backend=current.backend())
    graph = Graph(seen.lock())
    keys = [graph.find(name).key for name in packages]
    roots = keys or [key for key in graph.roots() if graph.packages[key].requested]
    found = tree(graph, roots, invert=invert, depth=depth)
    current.answer(found)
    if not found:
        current.say("Nothing was asked for yet: dolmen install PACKAGE")
        return
    pager.show(_lines(found, paints=current.paints), current)


def _lines(roots: tuple[Node, ...], *, paints: bool) -> Iterator[str]:
    from dolmen.cli import table

    branch, last, line, blank = (
        ("├── ", "└── ", "│   ", "    ")
        if table.unicode_output()
        else ("|-- ", "`-- ", "|   ", "    ")
    )
    for root in roots:
        yield _node(root, paints=paints)
        waiting = [(child, "", child is root.children[-1]) for child in reversed(root.children)]
        while waiting:
            node, indent, end = waiting.pop()
            yield f"{indent}{last if end else branch}{_node(node, paints=paints)}"
            below = indent + (blank if end else line)
            waiting += [
                (child, below, child is node.children[-1]) for child in reversed(node.children)
            ]


def _node(node: Node, *, paints: bool) -> str:
    from dolmen.cli import text

    name = text.paint(text.sanitise(node.name), "bold", colour=paints)
    if node.mark:
        return name + text.paint(_MARKS[node.mark], "dim", colour=paints)
    return f"{name} {text.paint(text.sanitise(node.version), 'dim', colour=paints)}"
