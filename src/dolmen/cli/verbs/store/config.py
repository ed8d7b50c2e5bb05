"""`dolmen store config`."""

from __future__ import annotations

import click

from dolmen.cli import storing, text
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo config get core.mode
        dolmen store --repo=repo config set core.min-free-space-percent 0
        dolmen store --repo=repo config unset core.min-free-space-percent
    """
)
@click.option("--group", metavar="GROUP", help="The group, where KEY is not GROUP.KEY.")
@click.argument("action", type=click.Choice(["get", "set", "unset"]))
@click.argument("key", metavar="KEY")
@click.argument("values", metavar="[VALUE]", nargs=-1)
def command(action: str, key: str, values: tuple[str, ...], group: str | None) -> None:
    """Read and change the repository's own configuration."""
    from dolmen.store.history import configuration
    from dolmen.support.errors import UsageError

    wanted = 1 if action == "set" else 0
    if len(values) != wanted:
        raise UsageError(
            "Too many arguments given" if len(values) > wanted else "VALUE must be specified",
            hint="dolmen store config --help",
        )
    value = values[0] if values else None
    if group is None:
        group, dot, key = key.rpartition(".")
        if not dot:
            raise UsageError("Key must be of the form 'sectionname.keyname'", hint="core.mode")
    history = storing.opened()
    current = session()
    if action == "get":
        found = configuration.get(history, group, key)
        current.answer({"group": group, "key": key, "value": found})
        current.say(text.sanitise(found))
        return
    configuration.change(history, group, key, value)
    current.answer({"group": group, "key": key, "value": value})
