"""`dolmen deny`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen deny                     (the nearest directory with a dolmen.toml)
        dolmen deny ~/src/gone          (it need not exist any more)
    """
)
@click.argument(
    "directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
def command(directory: Path | None) -> None:
    """Take back `dolmen allow`: shells that have the directory loaded unload it at their prompt."""
    from dolmen.cli import text
    from dolmen.environment import deny

    current = session()
    place = directory.resolve() if directory is not None else current.environment().directory
    removed = deny(place)
    current.answer({"directory": place, "changed": removed})
    shown = text.sanitise(str(place))
    current.say(f"Denied {shown}" if removed else f"{shown} was not allowed")
