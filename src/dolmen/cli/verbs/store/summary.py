"""`dolmen store summary`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session
from dolmen.support.errors import UsageError


@storing.store_verb(examples="dolmen store --repo=repo summary --update")
@click.option("-u", "--update", is_flag=True, help="Write it anew.")
def command(update: bool) -> None:
    """Write the list of refs that those who pull from here read first."""
    from dolmen.store.history.remotes import write_summary

    if not update:
        raise UsageError("say --update", hint="dolmen store summary --update")
    history = storing.opened()
    write_summary(history)
    session().answer({"summary": history.path / "summary"})
