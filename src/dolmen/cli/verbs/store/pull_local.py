"""`dolmen store pull-local`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=mine pull-local other-repo
        dolmen store --repo=mine pull-local other-repo main --depth=-1
    """
)
@storing.pulling
@click.option("--remote", metavar="NAME", help="Keep the refs as NAME:REF.")
@click.option("--gpg-verify", is_flag=True, help="Ask for signatures by that remote's keys.")
@click.option("--gpg-verify-summary", is_flag=True, help="Ask for one on the list of refs.")
@click.argument("source", metavar="REPO")
@click.argument("names", metavar="[REF]...", nargs=-1)
def command(source: str, names: tuple[str, ...], remote: str | None, **given: Any) -> None:
    """Copy refs (default: all) from another repository of this machine, with what they need."""
    from dolmen.store.history import pulling

    how = storing.pulling_values(given)
    place = Path(source.removeprefix("file://"))
    done = pulling.pull_local(storing.opened(), place, names, remote=remote, **how, **given)
    current = session()
    current.answer(done)
    current.say(text.sanitise(done.summary))
