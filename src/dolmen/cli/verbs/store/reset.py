"""`dolmen store reset`."""

from __future__ import annotations

import click

from dolmen.cli import storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo reset main 9b752
        dolmen store reset main main^
    """
)
@click.argument("branch", metavar="BRANCH")
@click.argument("revision", metavar="COMMIT")
def command(branch: str, revision: str) -> None:
    """Let a branch name another commit; what it named stays until `prune`."""
    from dolmen.store.history import references

    history = storing.opened()
    before, after = references.reset(history, branch, revision)
    session().answer({"branch": branch, "before": before, "after": after})
