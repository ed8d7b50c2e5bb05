"""`dolmen upgrade`."""

from __future__ import annotations

import click

from dolmen.cli.options import session, verb


@verb(
    examples="""
        dolmen upgrade --suite trixie --dry-run
        dolmen upgrade --suite trixie
        dolmen rollback                 (back to the suite before)
    """
)
@click.option("--suite", metavar="SUITE", required=True, help="The suite to move to.")
@click.option("--refresh", is_flag=True, help="Ask the archive for news first.")
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
def command(suite: str, refresh: bool, dry_run: bool) -> None:
    """Move the environment to another suite: edit dolmen.toml, solve anew, new generation.

    Nothing is upgraded in place: the image is built from the other suite's packages. Comments in
    dolmen.toml stay; suites built on the old one (bookworm-backports) follow. If anything fails,
    manifest, lock and generation are as they were.
    """
    from dolmen.cli.outcomes import show
    from dolmen.environment import upgrade

    current = session()
    outcome = upgrade(
        current.environment(),
        suite,
        backend=current.backend(),
        command=f"upgrade --suite {suite}",
        refresh=True if refresh else None,
        dry_run=dry_run,
        emit=current.emit,
    )
    current.close()
    show(outcome, current)
