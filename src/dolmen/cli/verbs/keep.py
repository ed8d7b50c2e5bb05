"""`dolmen keep`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen keep --dry-run           (what would be kept)
        dolmen keep                     (the packages, by way of dolmen.toml and dolmen.lock)
        dolmen keep --as-is             (every file as it is; no lock gives that again)
    """
)
@click.option("-n", "--name", metavar="TRIAL", help="Which trial, if there are several.")
@click.option("--as-is", is_flag=True, help="Keep the layer itself, with files of your own.")
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
def command(name: str | None, as_is: bool, dry_run: bool) -> None:
    """Make a new generation of what was tried.

    Packages that apt installed, removed or upgraded in the trial go to dolmen.toml and dolmen.lock
    in the very versions that were tried, and the generation is built from the archive: it is
    reproducible. Files that no package brings are named, and left out; the trial stays then.

    With --as-is the generation is the image with the layer over it. It is marked as modified by
    hand, and `dolmen verify` refuses it.
    """
    from dolmen.cli.trials import show_kept
    from dolmen.environment import keeping

    current = session()
    action = keeping.keep_as_is if as_is else keeping.keep
    kept = action(
        current.environment(),
        name,
        backend=current.backend(),
        dry_run=dry_run,
        emit=current.emit,
    )
    current.close()
    show_kept(kept, current)
