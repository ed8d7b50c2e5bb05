"""`dolmen config`."""

from __future__ import annotations

import click

from dolmen.cli import text
from dolmen.cli.options import common, group, session


@group(
    examples="""
        dolmen config
        dolmen config get gc.keep
        dolmen config set gc.older-than 30d
        dolmen config unset gc.older-than
        dolmen config list --json
    """
)
@click.pass_context
def command(context: click.Context) -> None:
    """Read and change your settings; alone: list them.

    They are kept in config.toml in $XDG_CONFIG_HOME/dolmen (or the file DOLMEN_CONFIG names), and
    say how Dolmen behaves for you; what an environment holds is in its dolmen.toml.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_command)


@command.command("list")
@common
def list_command() -> None:
    """List every setting: value, whether it is yours, and what it does."""
    from dolmen.cli import pager, table
    from dolmen.support import settings

    current = session()
    path = settings.settings_path()
    mine = settings.load(path)
    current.answer(
        {
            "path": path,
            "settings": [
                {
                    "name": key.name,
                    "value": mine.get(key.name, key.default),
                    "set": key.name in mine,
                    "help": key.help,
                }
                for key in settings.KEYS.values()
            ],
        }
    )
    rows = [
        [
            "*" if key.name in mine else "",
            key.name,
            _shown(mine.get(key.name, key.default)),
            key.help,
        ]
        for key in settings.KEYS.values()
    ]
    lines = [*table.rows(rows), f"(* set in {text.sanitise(str(path))})"]
    pager.show(lines, current)


@command.command("get")
@common
@click.argument("name", metavar="KEY")
def get_command(name: str) -> None:
    """Print one setting; nothing where it has no value."""
    from dolmen.support import settings

    current = session()
    key = settings.find(name)
    value = settings.get(key.name)
    current.answer({"name": name, "value": value})
    current.say(text.sanitise(_shown(value)))


@command.command("set")
@common
@click.argument("name", metavar="KEY")
@click.argument("value", metavar="VALUE")
def set_command(name: str, value: str) -> None:
    """Set one; a value that makes no sense is refused and changes nothing."""
    from dolmen.environment.configuring import change_setting
    from dolmen.support import settings

    current = session()
    parsed = settings.parse_value(name, value)
    change_setting(name, parsed)
    current.answer({"name": name, "value": parsed})
    current.say(f"{name} = {text.sanitise(_shown(parsed))}")


@command.command("unset")
@common
@click.argument("name", metavar="KEY")
def unset_command(name: str) -> None:
    """Go back to the default."""
    from dolmen.environment.configuring import change_setting
    from dolmen.support import settings

    current = session()
    key = settings.find(name)
    change_setting(name, None)
    current.answer({"name": name, "value": key.default})
    current.say(f"{name} = {text.sanitise(_shown(key.default))} (the default)")


def _shown(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
