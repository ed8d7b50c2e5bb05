"""`dolmen init`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen init
        dolmen init --suite trixie
        dolmen init --dir web --suite bookworm
    """
)
@click.option("--suite", metavar="SUITE", help="Debian's suite (default: the host's own).")
def command(suite: str | None) -> None:
    """Write a fresh dolmen.toml.

    Packages come from the host's own Debian sources, re-targeted to the suite, until the manifest
    names [[sources]] of its own.
    """
    from dolmen.environment import initialise
    from dolmen.environment.layout import absolute

    current = session()
    directory = absolute(current.directory or Path())
    directory.mkdir(parents=True, exist_ok=True)
    environment = initialise(directory, suite=suite)
    current.answer({"directory": directory, "manifest": environment.manifest})
    current.say(f"Wrote {environment.manifest}")
    current.say("Next: dolmen install PACKAGE…")
