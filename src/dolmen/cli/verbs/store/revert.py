"""`dolmen store revert`."""

from __future__ import annotations

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo revert main              (the newest commit of main)
        dolmen store --repo=repo revert main 9b752
        dolmen store revert --dry-run main main~3
        dolmen store revert --on-conflict=keep main main~3
    """
)
@click.option(
    "--on-conflict",
    type=click.Choice(["refuse", "keep", "undo"]),
    default="refuse",
    help="Paths that changed again since: refuse (default), keep them as they are, undo them too.",
)
@click.option("-s", "--subject", metavar="TEXT", help='One line (default: Revert "…").')
@click.option("-m", "--body", metavar="TEXT", help="What more there is to say.")
@click.option("--timestamp", metavar="TIME", help="Its date (default: now); @N: seconds of UTC.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.argument("branch", metavar="BRANCH")
@click.argument("revision", metavar="[COMMIT]", required=False)
def command(
    branch: str,
    revision: str | None,
    on_conflict: str,
    subject: str | None,
    body: str | None,
    timestamp: str | None,
    dry_run: bool,
) -> None:
    """Undo what one commit changed, by a new commit on BRANCH; history stays as it was.

    What other commits changed stays. A path that changed again after COMMIT is a conflict: all of
    them are listed, and nothing is done. `reset` in turn moves the branch itself.
    """
    from dolmen.store.history import reverting

    done = reverting.revert(
        storing.opened(),
        branch,
        revision,
        on_conflict=on_conflict,
        subject=subject,
        body=body,
        timestamp=None if timestamp is None else storing.seconds(timestamp),
        dry_run=dry_run,
    )
    current = session()
    current.answer(done)
    for conflict in done.conflicts:
        kept = "kept" if on_conflict == "keep" else "undone"
        current.say(f"{kept}: {text.sanitise(conflict.path)} ({conflict.what})")
    if done.checksum is not None:
        current.say(done.checksum)
        return
    for kind, path in done.changes:
        current.say(f"{kind}    {text.sanitise(path)}")
