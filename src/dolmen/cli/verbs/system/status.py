"""`dolmen system status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dolmen.cli import machine, text
from dolmen.cli.options import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dolmen.system.machine.status import Entry, Status

_MARKS = {"booted": "●", "default": "●"}


@machine.machine_verb(
    examples="""
        dolmen system status
        dolmen system status -v               (with every package that differs)
        dolmen system status --json
        dolmen system status --sysroot=/mnt   (of a disk that is mounted there)
    """
)
@click.option("-v", "--verbose", is_flag=True, help="List the packages that differ.")
def command(verbose: bool) -> None:
    """Show what this machine runs, what it starts next, and what it can go back to.

    In the order of the boot menu. Packages are counted against what runs.
    """
    from dolmen.system.machine.status import status

    found = status(machine.opened())
    current = session()
    current.answer(
        {
            "os": found.osname,
            "running": found.running,
            "starts_left": found.starts_left,
            "deployments": [
                {
                    **(machine.value_of(one.deployment) or {}),
                    "role": one.role,
                    "boot": one.boot,
                    "packages": one.packages,
                    "changes": one.changes,
                    "layers": one.layers,
                }
                for one in found.entries
            ],
        }
    )
    if not found.entries:
        current.say("There is no deployment yet: dolmen system deploy REF")
    for entry in found.entries:
        for line in _lines(entry, found, verbose=verbose, colour=current.paints):
            current.say(line)


def _lines(entry: Entry, found: Status, *, verbose: bool, colour: bool) -> Iterator[str]:
    one = entry.deployment
    notes = [entry.role]
    notes += ["staged"] if one.staged else []
    notes += ["pinned"] if one.pinned else []
    notes += [f"unlocked: {one.unlocked}"] if one.unlocked != "none" else []
    if entry.boot == "on trial":
        notes.append(f"on trial, {text.count(found.starts_left, 'start')} left")
    elif entry.boot == "failed":
        notes.append("failed to start, given up")
    elif entry.boot == "once":
        notes.append("started once, next time")
    mark = _MARKS.get(entry.role, " ")
    head = f"{mark} {one.index}  {text.sanitise(one.version)}"
    style = ("bold",) if mark != " " else ()
    yield f"{text.paint(head, *style, colour=colour)}  ({', '.join(notes)})"
    place = one.origin.get("dolmen", {}).get("directory", "")
    place = place or one.origin.get("origin", {}).get("refspec", "")
    kernel = f"kernel {one.metadata.kernel}" if one.metadata.kernel else ""
    about = [text.count(entry.packages, "package"), kernel, f"from {place}" if place else ""]
    yield text.sanitise(f"     {', '.join(word for word in about if word)}")
    yield text.sanitise(f"     commit {one.commit}")
    for word, given in (
        ("layered", entry.layers.install),
        ("removed", entry.layers.remove),
        ("overridden", entry.layers.override),
        ("initramfs", entry.layers.dracut),
    ):
        if given:
            yield text.sanitise(f"     {word}: {', '.join(given)}")
    if entry.changes:
        counts = []
        for word in ("upgraded", "downgraded", "added", "removed"):
            number = sum(change.direction == word for change in entry.changes)
            counts += [f"{number} {word}"] if number else []
        yield f"     packages: {', '.join(counts)}"
        if verbose:
            yield from machine.change_lines(
                entry.changes, colour=colour, indent="       ", limit=10_000
            )
