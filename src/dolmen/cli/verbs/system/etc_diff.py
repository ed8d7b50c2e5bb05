"""`dolmen system etc-diff`."""

from __future__ import annotations

import click

from dolmen.cli import machine, pager, text
from dolmen.cli.options import session

_LETTERS = {"added": "A", "modified": "M", "removed": "D"}
_KEPT = {
    "added": "the image brings one too",
    "modified": "the image has changed it too",
    "removed": "the image no longer has it",
}


@machine.machine_verb(
    examples="""
        dolmen system etc-diff
        dolmen system etc-diff --patch
        dolmen system etc-diff /etc/ssh        (how it differs)
        dolmen system etc-diff --conflicts     (code 1 if there are any)
    """
)
@click.option("--patch", is_flag=True, help="Show how files differ from the image's.")
@click.option("--conflicts", is_flag=True, help="Only what an image has changed as well.")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.pass_context
def command(context: click.Context, patch: bool, conflicts: bool, paths: tuple[str, ...]) -> None:
    """Show what was changed in /etc, and where an image has changed the same.

    An upgrade takes the new image's /etc and puts over it what was added, changed or removed here.
    Where both did something your version stays; the image's is in /usr/etc. It is told for what
    waits to be started, else for the last upgrade.
    """
    from dolmen.system.machine.etc import etc_difference

    found = etc_difference(machine.opened(), paths, patches=patch or bool(paths))
    current = session()
    shown = [one for one in found.changes if one.is_conflict or not conflicts]
    current.answer(
        {
            "version": found.version,
            "against": found.against,
            "pending": found.pending,
            "changes": shown,
            "conflicts": sum(one.is_conflict for one in found.changes),
        }
    )
    lines = []
    # What waits to be started has changed it, or what runs did, since the one before.
    newer = found.against if found.pending else found.version
    for one in shown:
        line = f"{_LETTERS[one.change]} {text.sanitise(one.path)}"
        if one.is_conflict:
            line += f"  (conflict: {_KEPT[one.image]} in {newer}; "
            line += "yours stays)"
            line = text.paint(line, "yellow", colour=current.paints)
        lines.append(line)
        lines += [text.sanitise(f"    {word}") for word in one.patch]
    nothing = "No path of /etc was changed here and by the image"
    if not conflicts:
        nothing = "Nothing in /etc differs from the image"
    pager.show(lines or [nothing], current)
    if conflicts and shown:
        context.exit(1)
