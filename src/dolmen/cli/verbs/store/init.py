"""`dolmen store init`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo init
        dolmen store init --repo=repo --mode=archive
    """
)
@click.option(
    "--mode",
    type=click.Choice(["bare-user", "bare", "archive", "archive-z2", "bare-user-only"]),
    default="bare-user",
    show_default=True,
    help="How objects are kept; bare needs root, archive is compressed, for serving.",
)
@click.option("--collection-id", metavar="ID", help="A name for the repository, for peers.")
def command(mode: str, collection_id: str | None) -> None:
    """Make a repository; one that is there stays as it is."""
    from dolmen.store.history.repository import History

    path = storing.named_path()
    if path is None:
        path = storing.repository_path()
    history = History.create(path, mode, collection=collection_id)
    session().answer({"path": path, "mode": history.mode})
