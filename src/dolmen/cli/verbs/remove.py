"""`dolmen remove`."""

from __future__ import annotations

from pathlib import Path

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen remove curl
        dolmen remove ./tool_1.0_amd64.deb
        dolmen remove --dry-run python3 nodejs
    """
)
@click.argument("names", metavar="PACKAGE…", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
def command(names: tuple[str, ...], dry_run: bool) -> None:
    """Take packages out of dolmen.toml, and what only they needed out of the environment."""
    from dolmen.cli.outcomes import show
    from dolmen.environment import remove
    from dolmen.environment.placing import is_path, relative

    current = session()
    environment = current.environment()
    paths = [name for name in names if is_path(name)]
    outcome = remove(
        environment,
        [name for name in names if name not in paths],
        debs=[relative(environment, Path(path)) for path in paths],
        backend=current.backend(),
        command=" ".join(["remove", *names]),
        dry_run=dry_run,
        emit=current.emit,
    )
    current.close()
    show(outcome, current)
