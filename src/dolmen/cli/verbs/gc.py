"""`dolmen gc`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from dolmen.cli import text
from dolmen.cli.collecting import policy
from dolmen.cli.options import session, verb

_KINDS = {
    "image": "image",
    "deb": "package tree",
    "pyc": "bytecode tree",
    "trees": "realised tree",
    "objects": "object",
    "debs": "downloaded package",
    "logs": "log",
    "scratch": "left-over",
    "quarantine": "quarantine",
    "indexes": "package index",
}


class _Quantity(click.ParamType):
    """A duration or a size; the parser says what is wrong."""

    def __init__(self, kind: str) -> None:
        self.name = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        from dolmen.support.quantities import parse_duration, parse_size

        try:
            return (parse_size if self.name == "size" else parse_duration)(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


AGE, SIZE = _Quantity("age"), _Quantity("size")


@verb(
    examples="""
        dolmen gc                                (what nobody needs; no generation)
        dolmen gc --dry-run --older-than 30d
        dolmen gc --older-than 30d --keep 3      (old ones, but three of each directory stay)
        dolmen gc --free 5G                      (the oldest generations, until 5 GiB are free)
        dolmen gc --dir web --keep 1             (generations of this directory alone)
        dolmen gc --grace 0s                     (also packages fetched just now)
    """
)
@click.option("--older-than", type=AGE, metavar="AGE", help="Generations older than this go.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="The newest N generations of each directory stay, the older ones go.",
)
@click.option("--free", type=SIZE, metavar="SIZE", help="Only as many generations as free this.")
@click.option("--grace", type=AGE, metavar="AGE", help="Age at which unneeded packages go.")
@click.option(
    "--dead-roots", type=AGE, metavar="AGE", help="How long directories that are gone count."
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go; change nothing.")
def command(
    older_than: float | None,
    keep: int | None,
    free: int | None,
    grace: float | None,
    dead_roots: float | None,
    dry_run: bool,
) -> None:
    """Free the room that nobody needs: images, packages, logs, what killed commands left.

    Generations (of all directories, or of the one that --dir names) go only where --older-than,
    --keep or --free (or the settings gc.older-than and gc.keep) say so; with --older-than and
    --keep both must agree. Never: what is live, pinned, named, in use by a running program, or
    where `rollback` goes. May be interrupted at any time.
    """
    from dolmen.environment.collecting import collect_garbage
    from dolmen.store import Store

    current = session()
    chosen = policy(older_than, keep, free, grace, dead_roots)
    if current.directory is not None:
        chosen = dataclasses.replace(chosen, only=current.environment().directory)
    found = collect_garbage(Store.open(current.store), chosen, dry_run=dry_run, emit=current.emit)
    current.close()
    current.answer({**_fields(found), "freed": found.freed})
    would = "Would remove" if dry_run else "Removed"
    for given in found.generations:
        current.say(
            f"{would} generation {given.generation.number} of {_path(given.directory)} "
            f"({given.generation.created[:10]}, {text.sanitise(given.generation.command)})"
        )
    for kept in found.kept:
        current.say(f"Kept generation {kept.number} of {_path(kept.directory)}: {kept.why}")
    for directory in found.roots:
        current.say(f"{would} the root of {_path(directory)}: the directory is gone")
    if found.shells:
        current.say(f"{would} {text.count(len(found.shells), 'unused ad-hoc environment')}")
    for image in found.collected.in_use:
        current.say(f"Kept image {image[:16]}…: in use by a running program")
    parts = [
        text.count(found.collected.counts[kind], noun)
        for kind, noun in _KINDS.items()
        if found.collected.counts.get(kind)
    ]
    freed = text.size(found.freed)
    if not parts and not found.generations:
        current.say("Nothing to remove")
    else:
        current.say(f"{'Would free' if dry_run else 'Freed'} {freed}: {', '.join(parts)}")


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _path(path: Path) -> str:
    return text.sanitise(str(path))
