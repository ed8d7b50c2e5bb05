"""`dolmen store log`."""

from __future__ import annotations

import click

from dolmen.cli import pager, storing
from dolmen.cli.options import session


@storing.store_verb(
    examples="""
        dolmen store --repo=repo log main
        dolmen store log main~3 --json
    """
)
@click.option("--raw", is_flag=True, help="Print what is stored, as GVariant text.")
@click.option("-n", "--number", type=click.IntRange(1), metavar="N", help="No more than N.")
@click.argument("revision", metavar="COMMIT")
def command(revision: str, raw: bool, number: int | None) -> None:
    """Show a commit and those before it, newest first."""
    from itertools import islice

    from dolmen.store.history import revisions

    history = storing.opened()
    commits = list(islice(revisions.log(history, revision), number))
    current = session()
    current.answer(commits)
    lines: list[str] = []
    for commit in commits:
        if raw:
            lines += [f"commit {commit.checksum}", revisions.raw(history, commit.checksum)]
        else:
            lines += storing.commit_lines(commit)
    last = commits[-1]
    if last.parent is not None and (number is None or len(commits) < number):
        lines.append("<< History beyond this commit not fetched >>")
    pager.show(lines, current)
