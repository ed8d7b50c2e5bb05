"""`dolmen allow`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen allow                    (the nearest directory with a dolmen.toml)
        dolmen allow web
    """
)
@click.argument(
    "directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
def command(directory: Path | None) -> None:
    """Let the prompt hook and direnv load a directory, as its dolmen.toml and dolmen.lock are now.

    Before that, entering it changes nothing in your shell. What you install, sync, switch or roll
    back there later stays allowed; what somebody else changes does not.
    """
    from dolmen.cli import text
    from dolmen.environment import allow, generations, is_known, open_environment
    from dolmen.model import parse_manifest

    current = session()
    environment = current.environment() if directory is None else open_environment(directory)
    manifest = parse_manifest(environment.manifest_text())
    known = is_known(environment, current.backend())
    allowed = allow(environment, known=known)
    current.answer(allowed)
    current.say(f"Allowed {text.sanitise(str(allowed.directory))}: {manifest.suite}, packages:")
    current.say("  " + text.sanitise(" ".join(map(str, manifest.packages)) or "none"))
    for source in manifest.sources:
        current.say(f"  from {text.sanitise(' '.join(source.uris))}")
    for name, value in manifest.entrance.variables:
        current.say(f"  {name}={text.sanitise(value)}")
    for name, line in manifest.entrance.aliases:
        current.say(f"  {name}: {text.sanitise(line)}")
    if not allowed.built:
        live = generations.current(environment)
        if live is not None:
            current.say("What is in .dolmen was not built here, and is not loaded.")
        what = "sync" if environment.lock_text() is not None else "install"
        current.say(f"Nothing is built yet; type: dolmen {what}")
