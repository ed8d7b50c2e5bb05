"""`dolmen lock`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen lock                     (newest versions; builds nothing)
        dolmen lock --check             (exit code 9 if the lock is stale)
        dolmen lock && dolmen sync
    """
)
@click.option("--check", "only_check", is_flag=True, help="Only say whether it is up to date.")
@click.option("--refresh", is_flag=True, help="Ask the archive for news first.")
def command(only_check: bool, refresh: bool) -> None:
    """Solve dolmen.toml again and write dolmen.lock; nothing is built."""
    from dolmen.cli import text
    from dolmen.cli.outcomes import change_lines, outcome_value
    from dolmen.environment import check, lock

    current = session()
    environment = current.environment()
    if only_check:
        found = check(environment)
        current.answer({"directory": environment.directory, "stale": False})
        current.say(f"dolmen.lock answers dolmen.toml: {len(found.packages)} packages")
        return
    outcome = lock(
        environment,
        backend=current.backend(),
        refresh=True if refresh else None,
        emit=current.emit,
    )
    current.close()
    current.answer(outcome_value(outcome))
    for line in change_lines(outcome.changes, colour=current.paints):
        current.say(line)
    if outcome.changed:
        then = "dolmen system build" if outcome.system else "dolmen sync"
        current.say(f"Locked {text.count(outcome.packages, 'package')}. Next: {then}")
    else:
        current.say(f"Nothing changed: {text.count(outcome.packages, 'package')}")
