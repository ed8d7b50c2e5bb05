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
        dolmen init --system --dir machine
    """
)
@click.option("--suite", metavar="SUITE", help="Debian's suite (default: the host's own).")
@click.option("--system", is_flag=True, help="Declare a whole machine (see docs/system.md).")
def command(suite: str | None, system: bool) -> None:
    """Write a fresh dolmen.toml.

    Packages come from the host's own Debian sources, re-targeted to the suite, until the manifest
    names [[sources]] of its own.
    """
    from dolmen.environment import initialise
    from dolmen.environment.layout import absolute

    current = session()
    directory = absolute(current.directory or Path())
    directory.mkdir(parents=True, exist_ok=True)
    environment = initialise(directory, suite=suite, system=system)
    current.answer({"directory": directory, "manifest": environment.manifest})
    current.say(f"Wrote {environment.manifest}")
    if system:
        current.say("Next: edit it, then dolmen lock && dolmen system build")
    else:
        current.say("Next: dolmen install PACKAGE…")
