"""`dolmen generations`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import common, group, session


@group(
    examples="""
        dolmen generations
        dolmen generations --sizes
        dolmen generations name 3 release
        dolmen generations pin 3              (never collected)
        dolmen generations remove 1 2
    """
)
@click.option("--sizes", is_flag=True, help="Measure how much room each takes.")
@click.pass_context
def command(context: click.Context, sizes: bool) -> None:
    """List the environment's generations, or change what is yours in them.

    The live one is marked. N is a number, a name, or - for what was live before. Packages are
    counted against what was live before: added, removed, changed.
    """
    if context.invoked_subcommand is not None:
        return
    from dolmen.cli import pager, table
    from dolmen.environment import list_generations

    current = session()
    environment = current.environment()
    found = list_generations(environment)
    measured = {}
    if sizes and found:
        from dolmen.environment.usage import sizes as measure
        from dolmen.store import Store

        measured = measure(environment, Store.open(current.store))
    current.answer(
        [
            {
                "generation": one.generation,
                "live": one.live,
                "whole": one.whole,
                "size": measured.get(one.generation.number),
            }
            for one in found
        ]
    )
    rows = []
    for one in found:
        generation = one.generation
        notes = [f"({generation.name})"] if generation.name else []
        notes += ["pinned"] if generation.pinned else []
        notes += ["modified by hand"] if generation.modified else []
        notes += [] if one.whole else ["image no longer in the store"]
        usage = measured.get(generation.number)
        rows.append(
            [
                "*" if one.live else "",
                str(generation.number),
                generation.created.replace("T", " ").removesuffix("Z"),
                text.count(generation.packages, "package"),
                _stat(generation.added, generation.removed, generation.changed),
                *([text.size(usage.total), f"{text.size(usage.own)} own"] if usage else []),
                "  ".join([generation.command, *notes]),
            ]
        )
    number = len(rows[0]) - 1 if rows else 0
    pager.show(
        table.rows(
            rows,
            right=(1, 3, *range(5, number)),
            style=lambda column, cell: (
                text.paint(cell, "bold", "green", colour=current.paints) if column == 0 else cell
            ),
        ),
        current,
    )


def _stat(added: int | None, removed: int | None, changed: int | None) -> str:
    parts = [f"{sign}{count}" for sign, count in (("+", added), ("-", removed), ("~", changed))]
    counts = (added, removed, changed)
    return " ".join(part for part, count in zip(parts, counts, strict=True) if count)


@command.command("name")
@common
@click.argument("reference", metavar="N")
@click.argument("name", metavar="NAME")
def name_command(reference: str, name: str) -> None:
    """Give generation N a name; a named one is never collected."""
    from dolmen.environment import name_generation

    current = session()
    if not name:
        raise click.UsageError("a name cannot be empty")
    generation = name_generation(current.environment(), reference, name, emit=current.emit)
    current.answer(generation)
    current.say(f"Generation {generation.number} is named {generation.name}")


@command.command("unname")
@common
@click.argument("reference", metavar="N")
def unname_command(reference: str) -> None:
    """Take generation N's name away."""
    from dolmen.environment import name_generation

    current = session()
    generation = name_generation(current.environment(), reference, "", emit=current.emit)
    current.answer(generation)
    current.say(f"Generation {generation.number} has no name")


@command.command("pin")
@common
@click.argument("reference", metavar="N")
def pin_command(reference: str) -> None:
    """Keep generation N: no collection removes it."""
    from dolmen.environment import pin

    current = session()
    generation = pin(current.environment(), reference, emit=current.emit)
    current.answer(generation)
    current.say(f"Generation {generation.number} is pinned")


@command.command("unpin")
@common
@click.argument("reference", metavar="N")
def unpin_command(reference: str) -> None:
    """Let generation N go when its time comes."""
    from dolmen.environment import pin

    current = session()
    generation = pin(current.environment(), reference, pinned=False, emit=current.emit)
    current.answer(generation)
    current.say(f"Generation {generation.number} is not pinned")


@command.command("remove")
@common
@click.argument("references", metavar="N…", nargs=-1, required=True)
def remove_command(references: tuple[str, ...]) -> None:
    """Take generations away; `dolmen gc` then frees what only they used."""
    from dolmen.environment import remove_generations

    current = session()
    numbers = remove_generations(current.environment(), references, emit=current.emit)
    current.answer({"removed": numbers})
    for number in numbers:
        current.say(f"Removed generation {number}")
