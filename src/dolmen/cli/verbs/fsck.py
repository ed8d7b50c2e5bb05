"""`dolmen fsck`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen fsck             (exit code 7 unless all is well)
        dolmen fsck --quick     (reads only what was written to)
        dolmen fsck --json
    """
)
@click.option(
    "--quick", is_flag=True, help="Look at names, modes and times; read only what was written to."
)
@click.pass_context
def command(context: click.Context, quick: bool) -> None:
    """Check that everything in the store is what its name says, and every environment whole.

    Every object is read and hashed, on all processors; then refs, pointers, realised trees,
    .debs, roots, and generations, manifests and locks of every directory that the store knows.
    Nothing is changed. What is damaged is named, with the generations that suffer; `dolmen repair`
    mends it.
    """
    from dolmen.environment.checking import check, damaged
    from dolmen.store import Store

    current = session()
    store = Store.to_look_at(current.store)
    with store.looking(emit=current.emit):
        report = check(store, quick=quick, emit=current.emit)
    current.close()
    if not report.whole:
        error = damaged(report)
        if not current.json:
            raise error
        current.answer(
            {
                "whole": False,
                "reason": error.reason,
                "faults": report.faults,
                "counts": report.counts,
                "leftovers": report.leftovers,
            }
        )
        context.exit(error.exit_code)
    current.answer(
        {
            "whole": True,
            "faults": [],
            "counts": report.counts,
            "leftovers": report.leftovers,
        }
    )
    nouns = ("objects", "trees", "debs", "environments", "generations")
    parts = [
        text.count(report.counts.get(noun, 0), _NOUNS[noun])
        for noun in nouns
        if report.counts.get(noun)
    ]
    current.say(f"All is well: {', '.join(parts) or 'the store is empty'}")
    for directory in report.missing:
        current.say(f"Not there, so not looked at: {text.sanitise(str(directory))}")
    if report.leftovers:
        number = text.count(len(report.leftovers), "left-over")
        current.say(f"{number} of commands that were killed. Next: dolmen gc")


_NOUNS = {
    "objects": "object",
    "trees": "realised tree",
    "debs": "downloaded package",
    "environments": "environment",
    "generations": "generation",
}
