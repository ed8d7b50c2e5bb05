"""`dolmen store fsck`."""

from __future__ import annotations

import sys

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store fsck
        dolmen store --repo=repo fsck --all
        dolmen store --repo=repo fsck --delete
    """
)
@click.option("-a", "--all", "whole", is_flag=True, help="Do not stop at the first fault.")
@click.option("--delete", is_flag=True, help="Delete damaged objects; a pull brings them again.")
def command(whole: bool, delete: bool) -> None:
    """Check every object of every commit, on all cores; the exit code is 0 only if all is well."""
    from dolmen.store.history import checking
    from dolmen.support.errors import StoreError

    history = storing.opened()
    current = session()
    for line in (
        "Validating refs...",
        "Validating refs in collections...",
        "Enumerating commits...",
    ):
        current.say(line)
    found = checking.fsck(history, delete=delete, whole=whole)
    if found.partial or found.broken:
        current.say(f"{found.partial + len(found.broken)} partial commits not verified")
    verified = found.commits - found.partial - len(found.broken)
    current.say(f"Verifying content integrity of {verified} commit objects...")
    lines = [damage.line for damage in found.damages]
    lines += found.bad_refs
    if found.clean:
        current.answer(found)
        current.say(f"fsck objects ({found.objects}/{found.objects}) 100%")
        current.say(f"object fsck of {verified} commits completed successfully - no errors found.")
        return
    if lines and (whole or delete or (found.damages and found.damages[0].missing)):
        for line in lines:
            if not current.json:
                text.write_line(sys.stderr, text.sanitise(line))
        marked = {name for damage in found.damages for name in damage.commits}
        for name in sorted(marked) if not current.json else ():
            text.write_line(sys.stderr, f"Marking commit as partial: {name}")
        message, details = "Repository corruption encountered", lines if current.json else []
    elif lines:
        message, details = lines[0], lines[1:]
    else:
        number = len(found.broken)
        message = f"{number} partial commits from fsck-detected corruption"
        details = [f"commit {name}" for name in found.broken]
    missing = all(damage.missing for damage in found.damages)
    raise StoreError(
        message,
        reason="object-missing" if missing else "object-damaged",
        details=details,
        hint="dolmen store pull-local REPO, from one that has the objects",
    )
